// The consumer's hot path. Every word of the segment is read once, then bound.

import type { RingParts } from "./_ring_layout.ts";
import { longestRecord, RECORD_HEADER, TAIL } from "./_ring_layout.ts";
import { corrupt, longsOf, TSO, WORD_COPY_MAX } from "./_ring_access.ts";

/** There is no record yet. */
const NONE = -1;

/** Reads records from a ring. Its own position never comes from the segment. */
export class RingReaderCore {
  readonly longest: number;
  readonly capacity: number;
  #words: Int32Array<ArrayBuffer>;
  #bytes: Uint8Array<ArrayBuffer>;
  #longs: BigInt64Array<ArrayBuffer>;
  #header: Int32Array<ArrayBuffer>;
  #mask: number;
  #tail: number;
  /** The position that the producer knows. */
  #published: number;
  #lag: number;
  /** Bytes of the record at the tail that `readBytes` took already. */
  #taken = 0;
  #polls = 0;
  /** The record's size that `peek` gave out, or 0. */
  #peeked = 0;
  #target: Uint8Array | undefined;
  #targetLongs: BigInt64Array | undefined;

  constructor(parts: RingParts) {
    this.#words = parts.words;
    this.#bytes = parts.bytes;
    this.#longs = parts.longs;
    this.#header = parts.header;
    this.capacity = parts.capacity;
    this.longest = longestRecord(parts.capacity);
    this.#mask = parts.capacity - 1;
    this.#lag = parts.capacity >> 2;
    this.#tail = this.#published = Atomics.load(parts.header, TAIL) & ~7;
  }

  /** Whether the segment is closed, or this: its views are empty then. */
  get closed(): boolean {
    return this.#words.length === 0;
  }

  /** Tells the producer what was read, and lets go of the memory. */
  close(): void {
    if (this.closed) return;
    this.publish();
    this.#words = new Int32Array(0);
    this.#bytes = new Uint8Array(0);
    this.#longs = new BigInt64Array(0);
    this.#target = this.#targetLongs = undefined;
    this.#peeked = 0;
  }

  /** The next record's payload length, or -1. Leaves the tail on the record. */
  next(): number {
    const words = this.#words;
    if (words.length === 0) {
      throw new Deno.errors.BadResource(
        "Cannot read from ring: it is closed on this side",
      );
    }
    const at = this.#tail & this.#mask;
    let word = words[at >> 2];
    if (word === 0) {
      if ((++this.#polls & 63) === 0) word = Atomics.load(words, at >> 2);
    } else if (!TSO) word = Atomics.load(words, at >> 2);
    if (word > 0) return this.#bound(word, at);
    if (word === 0) {
      if (this.#tail !== this.#published) this.publish();
      return NONE;
    }
    if (-word !== this.capacity - at || at === 0) {
      throw corrupt(`padding ${word} at ${at}`);
    }
    this.#tail = (this.#tail - word) | 0;
    const first = Atomics.load(words, 0);
    if (first < 0) throw corrupt(`padding ${first} at 0`);
    return first === 0 ? NONE : this.#bound(first, 0);
  }

  #bound(word: number, at: number): number {
    if (
      word < RECORD_HEADER || word > this.longest + RECORD_HEADER ||
      at + word > this.capacity
    ) throw corrupt(`record length ${word} at ${at}`);
    return word - RECORD_HEADER;
  }

  /** Steps over the record at the tail, peeked or read in part or not. */
  #skip(length: number): void {
    this.#peeked = this.#taken = 0;
    this.#tail = (this.#tail + ((length + RECORD_HEADER + 7) & ~7)) | 0;
    if (((this.#tail - this.#published) | 0) >= this.#lag) this.publish();
  }

  /** Gives the producer the room of what was read. */
  publish(): void {
    this.#published = this.#tail;
    if (TSO) this.#header[TAIL] = this.#tail;
    else Atomics.store(this.#header, TAIL, this.#tail);
  }

  /** Whether there is something to read, without doubt: before sleeping. */
  ready(): boolean {
    return this.#words.length > 0 &&
      Atomics.load(this.#words, (this.#tail & this.#mask) >> 2) !== 0;
  }

  /** Whether there is something to read, perhaps a moment late: for spinning. */
  look(): boolean {
    const words = this.#words;
    const at = (this.#tail & this.#mask) >> 2;
    if (words.length === 0) return false;
    const word = TSO && (++this.#polls & 63) !== 0
      ? words[at]
      : Atomics.load(words, at);
    return word !== 0;
  }

  /** The position that the producer was told last. */
  get told(): number {
    return this.#published;
  }

  /** Copies the next record to the start of `into`; its length, or -1. */
  read(into: Uint8Array): number {
    const length = this.next();
    if (length < 0) return NONE;
    if (length > into.length) {
      throw tooLong(length, into.length);
    }
    const at = this.#tail & this.#mask;
    this.#copy(at + RECORD_HEADER, length, into, 0);
    this.#skip(length);
    return length;
  }

  /** Copies `length` bytes of the ring to byte `to` of `into`. */
  #copy(from: number, length: number, into: Uint8Array, to: number): void {
    if (length > WORD_COPY_MAX) {
      into.set(this.#bytes.subarray(from, from + length), to);
      return;
    }
    if (into !== this.#target) {
      this.#target = into;
      this.#targetLongs = undefined;
    } else if (((length | to) & 7) === 0) {
      // It came before, so a view of its words may be worth its 400 ns.
      const target = this.#targetLongs ??= longsOf(into);
      // Of another length, the buffer was resized since.
      if (target !== undefined && target.length === into.length >> 3) {
        const longs = this.#longs;
        const first = from >> 3;
        const start = to >> 3;
        const count = length >> 3;
        for (let i = 0; i < count; i++) target[start + i] = longs[first + i];
        return;
      }
    }
    const bytes = this.#bytes;
    for (let i = 0; i < length; i++) into[to + i] = bytes[from + i];
  }

  /** Copies records into `into`, each at a multiple of 8; their count. */
  readMany(
    into: Uint8Array,
    lengths: Int32Array | number[],
    most: number,
  ): number {
    let count = 0;
    let to = 0;
    while (count < most) {
      if (TSO) {
        const tail = this.#tail;
        const first = count;
        count = this.#readWords(into, lengths, first, most, to);
        to += ((this.#tail - tail) | 0) - RECORD_HEADER * (count - first);
        if (count === most) break;
      }
      const length = this.next();
      if (length < 0) break;
      if (to + length > into.length) {
        if (count > 0) break;
        throw tooLong(length, into.length);
      }
      const from = (this.#tail & this.#mask) + RECORD_HEADER;
      this.#copy(from, length, into, to);
      this.#skip(length);
      lengths[count++] = length;
      to += (length + 7) & ~7;
    }
    return count;
  }

  /**
   * The short way of `readMany`: small records of whole words into a buffer that
   * came before. It stops at the first one that is not so; the new count.
   */
  #readWords(
    into: Uint8Array,
    lengths: Int32Array | number[],
    count: number,
    most: number,
    to: number,
  ): number {
    const target = this.#targetLongs;
    if (
      into !== this.#target || target === undefined ||
      target.length !== into.length >> 3
    ) return count;
    const words = this.#words;
    const { capacity } = this;
    const mask = this.#mask;
    const longest = Math.min(WORD_COPY_MAX, this.longest);
    const start = this.#tail;
    let at = start & mask;
    let room = target.length - (to >> 3);
    let last = count;
    // The lines come by loops that do nothing else, so that the processor asks
    // for many of them at once. It can't where each place comes from the word
    // before it, so the inner loop guesses that the length is the same again.
    while (last < most) {
      const word = words[at >> 2];
      const length = word - RECORD_HEADER;
      const long = length >> 3;
      room -= long;
      if (
        length < 0 || length > longest || (length & 7) !== 0 || room < 0 ||
        at + word > capacity
      ) break;
      lengths[last++] = length;
      at += word;
      const end = capacity - word;
      while (
        last < most && at <= end && room >= long && words[at >> 2] === word
      ) {
        lengths[last++] = length;
        room -= long;
        at += word;
      }
      if (at === capacity) break; // at the ring's end without padding
    }
    const tail = (start + at - (start & mask)) | 0;
    const longs = this.#longs;
    let next = to >> 3;
    let from = (start & mask) >> 3;
    for (; count < last; count++) {
      const long = lengths[count] >> 3;
      from++;
      for (let i = 0; i < long; i++) target[next + i] = longs[from + i];
      next += long;
      from += long;
    }
    if (tail !== this.#tail) {
      this.#peeked = this.#taken = 0;
      this.#tail = tail;
      if (((tail - this.#published) | 0) >= this.#lag) this.publish();
    }
    return count;
  }

  /** A view of the next record in the ring, good until `release`. */
  peek(): Uint8Array<ArrayBuffer> | undefined {
    const length = this.next();
    if (length < 0) return undefined;
    const from = (this.#tail & this.#mask) + RECORD_HEADER;
    this.#peeked = length + RECORD_HEADER;
    return this.#bytes.subarray(from, from + length);
  }

  /** Gives back the record of the last `peek`. */
  release(): void {
    if (this.#peeked === 0) {
      throw new TypeError("Cannot release a record: nothing was peeked");
    }
    this.#skip(this.#peeked - RECORD_HEADER);
  }

  /** Fills `into` with the bytes of as many records as it takes; the count. */
  readBytes(into: Uint8Array): number {
    const start = this.#tail;
    let filled = 0;
    while (filled < into.length) {
      // A peer that commits empty records as fast as they are read: pause.
      if (((this.#tail - start) | 0) > this.capacity) break;
      const length = this.next();
      if (length < 0) break;
      const left = length - this.#taken;
      if (left < 0) throw corrupt("a record shrank while it was read");
      const count = Math.min(left, into.length - filled);
      const from = (this.#tail & this.#mask) + RECORD_HEADER + this.#taken;
      into.set(this.#bytes.subarray(from, from + count), filled);
      filled += count;
      if (count < left) this.#taken += count;
      else this.#skip(length);
    }
    return filled;
  }
}

function tooLong(length: number, room: number): RangeError {
  return new RangeError(
    `Cannot read from ring: record of ${length} bytes, ` +
      `the buffer holds ${room}`,
  );
}
