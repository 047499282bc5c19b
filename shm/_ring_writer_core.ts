// The producer's hot path: no waiting, no flags, no allocation.

import type { RingParts } from "./_ring_layout.ts";
import { longestRecord, RECORD_HEADER, TAIL } from "./_ring_layout.ts";

/** Payloads up to this many bytes go by 8-byte words where both are aligned. */
export const WORD_COPY_MAX = 256;
/**
 * x86-64 keeps the order of stores and the order of loads by itself, so that a
 * plain store is a release and a plain load an acquire. JavaScript's own
 * atomics are sequentially consistent: each store waits for all before it to
 * reach the cache, which costs more than the whole record.
 */
export const TSO = Deno.build.arch === "x86_64";
/** No record of a batch waits for its commit. */
const NONE = -1;

/** Writes records into a ring. Its own position never comes from the segment. */
export class RingWriterCore {
  readonly longest: number;
  readonly capacity: number;
  #words: Int32Array<ArrayBuffer>;
  #bytes: Uint8Array<ArrayBuffer>;
  #longs: BigInt64Array<ArrayBuffer>;
  #header: Int32Array<ArrayBuffer>;
  #mask: number;
  #head: number;
  /** The consumer's position as last seen. */
  #tail: number;
  /** Where the batch's first record lies, whose word commits them all. */
  #firstAt = NONE;
  #firstWord = 0;
  #reservedAt = NONE;
  /** Where the head was then: another write since has dropped it. */
  #reservedHead = 0;
  #reservedLength = 0;
  /** The words of the last payload: a new view for each costs 400 ns. */
  #source: Uint8Array | undefined;
  #sourceLongs: BigInt64Array | undefined;

  constructor(parts: RingParts) {
    this.#words = parts.words;
    this.#bytes = parts.bytes;
    this.#longs = parts.longs;
    this.#header = parts.header;
    this.capacity = parts.capacity;
    this.longest = longestRecord(parts.capacity);
    this.#mask = parts.capacity - 1;
    this.#tail = Atomics.load(parts.header, TAIL) & ~7;
    this.#head = this.#findHead();
  }

  /** Whether the segment is closed, or this: its views are empty then. */
  get closed(): boolean {
    return this.#words.length === 0;
  }

  /** Publishes what was appended, and lets go of the memory. */
  close(): void {
    if (this.closed) return;
    this.publish();
    this.#words = new Int32Array(0);
    this.#bytes = new Uint8Array(0);
    this.#longs = new BigInt64Array(0);
    this.#source = this.#sourceLongs = undefined;
    this.#reservedAt = NONE;
  }

  /** Goes over the committed records to where the last producer stopped. */
  #findHead(): number {
    let head = this.#tail;
    while (head - this.#tail < this.capacity - RECORD_HEADER) {
      const at = head & this.#mask;
      const word = Atomics.load(this.#words, at >> 2);
      if (word === 0) return head | 0;
      const size = word > 0 ? (word + 7) & ~7 : -word;
      if (
        word > 0
          ? word < RECORD_HEADER || word > this.longest + RECORD_HEADER ||
            at + size > this.capacity
          : size !== this.capacity - at || at === 0
      ) throw corrupt(`record length ${word} at ${at}`);
      head += size;
    }
    if (head - this.#tail === this.capacity - RECORD_HEADER) return head | 0;
    throw corrupt("no free word");
  }

  /** Room for a record of `length`: its place, or -1 where there is none. */
  #claim(length: number): number {
    if (length > this.longest) {
      throw new RangeError(
        `Cannot write to ring: record of ${length} bytes exceeds its longest, ` +
          `${this.longest}`,
      );
    }
    if (this.#words.length === 0) {
      throw new Deno.errors.BadResource(
        "Cannot write to ring: it is closed on this side",
      );
    }
    const size = (length + RECORD_HEADER + 7) & ~7;
    const at = this.#head & this.#mask;
    const rest = this.capacity - at;
    const pad = rest < size ? rest : 0;
    const need = size + pad + RECORD_HEADER;
    if (
      need > this.capacity - ((this.#head - this.#tail) | 0) &&
      need > this.#refresh()
    ) return NONE;
    if (pad === 0) return at;
    this.#put(at, -pad);
    this.#head = (this.#head + pad) | 0;
    return 0;
  }

  /** Looks at the consumer's position; the free bytes. */
  #refresh(): number {
    const tail = Atomics.load(this.#header, TAIL);
    const used = (this.#head - tail) | 0;
    if (used < 0 || used > this.capacity) {
      throw corrupt(`tail ${tail >>> 0}, head ${this.#head >>> 0}`);
    }
    this.#tail = tail;
    return this.capacity - used;
  }

  /** Free bytes, record headers included. */
  get free(): number {
    if (this.closed) return 0;
    return Math.max(0, this.#refresh() - RECORD_HEADER);
  }

  /** Sets a record's word, or keeps it for `publish` if it is the first. */
  #put(at: number, word: number): void {
    if (this.#firstAt === NONE) {
      this.#firstAt = at;
      this.#firstWord = word;
    } else this.#words[at >> 2] = word;
  }

  /** Adds a record that the consumer sees after `publish`. */
  append(payload: Uint8Array): boolean {
    const length = payload.length;
    const known = this.#sourceLongs;
    const here = this.#head & this.#mask;
    const end = here + length + RECORD_HEADER;
    if (
      payload === this.#source && known !== undefined &&
      known.length << 3 === length && end < this.capacity &&
      this.capacity - ((this.#head - this.#tail) | 0) >=
        length + 2 * RECORD_HEADER &&
      this.#words.length !== 0
    ) {
      // The short way of `write`, without its commit.
      const longs = this.#longs;
      const to = (here >> 3) + 1;
      const count = length >> 3;
      for (let i = 0; i < count; i++) longs[to + i] = known[i];
      this.#put(here, length + RECORD_HEADER);
      this.#head = (this.#head + length + RECORD_HEADER) | 0;
      return true;
    }
    const at = this.#claim(length);
    if (at < 0) return false;
    if (length > WORD_COPY_MAX || (length & 7) !== 0) {
      this.#bytes.set(payload, at + RECORD_HEADER);
    } else if (payload !== this.#source) {
      this.#source = payload;
      this.#sourceLongs = undefined;
      this.#bytes.set(payload, at + RECORD_HEADER);
    } else {
      // It came before, so a view of its words may be worth its 400 ns.
      const source = this.#sourceLongs ??= longsOf(payload);
      if (source === undefined || source.length !== length >> 3) {
        this.#bytes.set(payload, at + RECORD_HEADER); // unaligned, or resized
      } else {
        const longs = this.#longs;
        const to = (at + RECORD_HEADER) >> 3;
        const count = length >> 3;
        for (let i = 0; i < count; i++) longs[to + i] = source[i];
      }
    }
    this.#put(at, length + RECORD_HEADER);
    this.#head = (this.#head + ((length + RECORD_HEADER + 7) & ~7)) | 0;
    return true;
  }

  /**
   * Adds a record and makes it visible. The same as `append` and `publish`, with
   * a short way for a payload that comes again and again.
   */
  write(payload: Uint8Array): boolean {
    const source = this.#sourceLongs;
    const at = this.#head & this.#mask;
    const length = payload.length;
    const size = length + RECORD_HEADER;
    if (
      payload !== this.#source || source === undefined ||
      source.length << 3 !== length || this.#firstAt !== NONE ||
      at + size >= this.capacity ||
      this.capacity - ((this.#head - this.#tail) | 0) < size + RECORD_HEADER ||
      this.#words.length === 0
    ) {
      if (!this.append(payload)) return false;
      this.publish();
      return true;
    }
    const longs = this.#longs;
    const to = (at >> 3) + 1;
    const count = length >> 3;
    for (let i = 0; i < count; i++) longs[to + i] = source[i];
    const words = this.#words;
    words[(at + size) >> 2] = 0;
    if (TSO) words[at >> 2] = size;
    else Atomics.store(words, at >> 2, size);
    this.#head = (this.#head + size) | 0;
    return true;
  }

  /** Makes what was appended visible, in order and at once. */
  publish(): void {
    if (this.#firstAt === NONE) return;
    this.#words[(this.#head & this.#mask) >> 2] = 0;
    if (TSO) this.#words[this.#firstAt >> 2] = this.#firstWord;
    else Atomics.store(this.#words, this.#firstAt >> 2, this.#firstWord);
    this.#firstAt = NONE;
  }

  /**
   * Adds the bytes from `from` on as records of at most `piece` bytes, each
   * visible at once, as long as there is room. Where they end at the ring's end,
   * nothing is wasted on padding. Returns how many bytes went in.
   */
  writeBytes(chunk: Uint8Array, from: number, piece: number): number {
    const end = chunk.length;
    let next = from;
    if (this.closed) {
      throw new Deno.errors.BadResource(
        "Cannot write to ring: it is closed on this side",
      );
    }
    this.publish(); // what was appended goes first
    while (next < end) {
      const at = this.#head & this.#mask;
      const rest = this.capacity - at;
      const wanted = Math.min(end - next, piece);
      const size = (wanted + RECORD_HEADER + 7) & ~7;
      let room = this.capacity - ((this.#head - this.#tail) | 0);
      if (room < size + RECORD_HEADER) room = this.#refresh();
      const space = Math.min(room - RECORD_HEADER, rest);
      if (space < 2 * RECORD_HEADER) {
        if (rest >= 2 * RECORD_HEADER || room < rest + 3 * RECORD_HEADER) break;
        this.#put(at, -rest);
        this.#head = (this.#head + rest) | 0;
        continue;
      }
      const count = Math.min(wanted, space - RECORD_HEADER);
      this.#bytes.set(
        count === end && next === 0
          ? chunk
          : chunk.subarray(next, next + count),
        at + RECORD_HEADER,
      );
      this.#put(at, count + RECORD_HEADER);
      this.#head = (this.#head + ((count + RECORD_HEADER + 7) & ~7)) | 0;
      this.publish();
      next += count;
    }
    return next - from;
  }

  /** A view of the ring for a record of up to `length` bytes. */
  reserve(length: number): Uint8Array<ArrayBuffer> | undefined {
    const at = this.#claim(length);
    if (at < 0) return undefined;
    this.#reservedAt = at;
    this.#reservedHead = this.#head;
    this.#reservedLength = length;
    return this.#bytes.subarray(
      at + RECORD_HEADER,
      at + RECORD_HEADER + length,
    );
  }

  /** Adds the first `length` bytes of the reserved view as a record. */
  commit(length: number = this.#reservedLength): void {
    if (this.#reservedAt === NONE || this.#reservedHead !== this.#head) {
      throw new TypeError("Cannot commit to ring: nothing is reserved");
    }
    if (!(length >= 0 && length <= this.#reservedLength)) {
      throw new RangeError(
        `Cannot commit to ring: ${length} bytes, ${this.#reservedLength} ` +
          "are reserved",
      );
    }
    this.#put(this.#reservedAt, length + RECORD_HEADER);
    this.#head = (this.#head + ((length + RECORD_HEADER + 7) & ~7)) | 0;
    this.#reservedAt = NONE;
  }
}

/** A view of `bytes` by words of 8 bytes, where they are aligned for it. */
export function longsOf(bytes: Uint8Array): BigInt64Array | undefined {
  return bytes.byteOffset % 8 === 0
    ? new BigInt64Array(bytes.buffer, bytes.byteOffset, bytes.length >> 3)
    : undefined;
}

/** The error for what only a broken or hostile peer writes. */
export function corrupt(what: string): Deno.errors.InvalidData {
  return new Deno.errors.InvalidData(`Cannot use ring: corrupt, ${what}`);
}
