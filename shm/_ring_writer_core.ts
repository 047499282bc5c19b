// The producer's hot path: no waiting, no flags, no allocation.
//
// What costs time is the cache lines that go from core to core. The consumer
// polls the line of a record's word, so that line is written last and at once:
// first the word of the next record, then the payload from its end to its
// start, then the record's own word. From the start on, the consumer would take
// the line back after the first bytes, and it would have to come twice.

import type { RingParts } from "./_ring_layout.ts";
import { longestRecord, RECORD_HEADER, TAIL } from "./_ring_layout.ts";
import { corrupt, longsOf, TSO, WORD_COPY_MAX } from "./_ring_access.ts";
import { findHead } from "./_ring_recovery.ts";
import { NO_STAGE, RingStage } from "./_ring_stage.ts";

/** Bytes of a cache line. */
const LINE = 64;
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
  /** That word, or 0 while the record is in the stage. */
  #firstWord = 0;
  /** Whether the last batch had several records: one alone is not staged. */
  #batches = false;
  /** Records of the batch that are not in the ring yet; they go to the head. */
  #stage: RingStage = NO_STAGE;
  #reservedAt = NONE;
  /** Where the head was then: another write since has dropped it. */
  #reservedHead = 0;
  #reservedLength = 0;
  /** The words of the last payload: a new view for each costs 400 ns. */
  #source: Uint8Array | undefined;
  #sourceLongs: BigInt64Array | undefined;
  /** The bytes that they cover, or -1. */
  #sourceLength = -1;

  constructor(parts: RingParts) {
    this.#words = parts.words;
    this.#bytes = parts.bytes;
    this.#longs = parts.longs;
    this.#header = parts.header;
    this.capacity = parts.capacity;
    this.longest = longestRecord(parts.capacity);
    this.#mask = parts.capacity - 1;
    this.#tail = Atomics.load(parts.header, TAIL) & ~7;
    this.#head = findHead(parts, this.#tail);
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
    this.#stage = NO_STAGE;
    this.#reservedAt = NONE;
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
    if (this.#stage.length > 0) this.#unstage();
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
    this.#words[0] = 0;
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
    return Math.max(0, this.#refresh() - this.#stage.length - RECORD_HEADER);
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
    const stage = this.#stage;
    const source = this.#sourceLongs;
    const length = payload.length;
    if (
      payload !== this.#source || source === undefined ||
      length !== this.#sourceLength || this.#words.length === 0 ||
      stage.length + length + RECORD_HEADER > stage.room
    ) return this.#appendSlowly(payload);
    stage.addWords(source, length);
    return true;
  }

  #appendSlowly(payload: Uint8Array): boolean {
    const first = this.#firstAt === NONE;
    if (first && !this.#batches) return this.#appendDirectly(payload);
    this.#batches = true;
    const length = payload.length;
    const room = length > WORD_COPY_MAX || this.closed
      ? 0
      : this.#roomFor((length + RECORD_HEADER + 7) & ~7);
    if (room === 0) return this.#appendDirectly(payload);
    const stage = this.#stage;
    const source = this.#wordsOf(payload);
    if (source === undefined) stage.add(payload);
    else stage.addWords(source, length);
    stage.room = room;
    if (first) {
      this.#firstAt = this.#head & this.#mask;
      this.#firstWord = 0;
    }
    return true;
  }

  /** The bytes that may be staged, or 0 where `size` more are not among them. */
  #roomFor(size: number): number {
    if (this.#stage === NO_STAGE) this.#stage = new RingStage();
    const stage = this.#stage;
    if (stage.length + size > stage.bytes.length) this.#unstage();
    const rest = this.capacity - (this.#head & this.#mask);
    const most = Math.min(stage.bytes.length, rest);
    const need = stage.length + size;
    let free = this.capacity - ((this.#head - this.#tail) | 0);
    if (need + RECORD_HEADER > free) free = this.#refresh();
    const room = Math.min(most, free - RECORD_HEADER);
    return need > room ? 0 : room;
  }

  /** Brings into the ring what was put together beside it. */
  #unstage(): void {
    const stage = this.#stage;
    const { length } = stage;
    stage.room = stage.length = 0;
    if (length === 0 || this.closed) return;
    const at = this.#head & this.#mask;
    this.#head = (this.#head + length) | 0;
    this.#words[(this.#head & this.#mask) >> 2] = 0;
    let from = 0;
    if (this.#firstWord === 0) {
      this.#firstWord = stage.words[0];
      from = RECORD_HEADER;
    }
    // The line that the consumer polls comes last.
    const last = Math.min(length, 2 * LINE);
    if (last < length) {
      this.#bytes.set(stage.bytes.subarray(last, length), at + last);
    }
    const longs = this.#longs;
    for (let i = last - RECORD_HEADER; i >= from; i -= RECORD_HEADER) {
      longs[(at + i) >> 3] = stage.longs[i >> 3];
    }
  }

  /** The words of a payload that came before, where it is made of whole ones. */
  #wordsOf(payload: Uint8Array): BigInt64Array | undefined {
    const length = payload.length;
    if (payload !== this.#source) {
      this.#source = payload;
      this.#sourceLongs = undefined;
      this.#sourceLength = -1;
      return undefined;
    }
    if (length !== this.#sourceLength) {
      // It came before, so a view of its words may be worth its 400 ns.
      this.#sourceLongs = length % 8 === 0 ? longsOf(payload) : undefined;
      this.#sourceLength = this.#sourceLongs === undefined ? -1 : length;
    }
    return this.#sourceLongs;
  }

  #appendDirectly(payload: Uint8Array): boolean {
    const length = payload.length;
    const at = this.#claim(length);
    if (at < 0) return false;
    this.#clearNext(length);
    const source = length > WORD_COPY_MAX ? undefined : this.#wordsOf(payload);
    if (source === undefined) this.#bytes.set(payload, at + RECORD_HEADER);
    else {
      const longs = this.#longs;
      const before = at >> 3;
      for (let i = length >> 3; i > 0; i--) longs[before + i] = source[i - 1];
    }
    this.#finish(at, length);
    return true;
  }

  /** Clears the word of the record that will follow one of `length` at the head. */
  #clearNext(length: number): void {
    const next = this.#head + ((length + RECORD_HEADER + 7) & ~7);
    this.#words[(next & this.#mask) >> 2] = 0;
  }

  /** Puts the word of a record that is written, and moves on. */
  #finish(at: number, length: number): void {
    this.#put(at, length + RECORD_HEADER);
    this.#head = (this.#head + ((length + RECORD_HEADER + 7) & ~7)) | 0;
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
    const free = this.capacity - ((this.#head - this.#tail) | 0);
    if (
      payload !== this.#source || source === undefined ||
      length !== this.#sourceLength || this.#firstAt !== NONE ||
      at + size >= this.capacity || free < size + RECORD_HEADER ||
      this.#words.length === 0
    ) {
      // A record alone gains nothing from being staged.
      const alone = this.#firstAt === NONE;
      if (!(alone ? this.#appendDirectly(payload) : this.append(payload))) {
        return false;
      }
      this.publish();
      return true;
    }
    const words = this.#words;
    words[(at + size) >> 2] = 0;
    const longs = this.#longs;
    const before = at >> 3;
    for (let i = length >> 3; i > 0; i--) longs[before + i] = source[i - 1];
    if (TSO) words[at >> 2] = size;
    else Atomics.store(words, at >> 2, size);
    this.#head = (this.#head + size) | 0;
    // The consumer has a copy of the lines that the next record will end on.
    // Taken from it now, the next write does not have to wait for them.
    if (free >= 2 * size + RECORD_HEADER) {
      for (let ahead = size; ahead >= LINE; ahead -= LINE) {
        words[((at + size + ahead) & this.#mask) >> 2] = 0;
      }
    }
    return true;
  }

  /** Makes what was appended visible, in order and at once. */
  publish(): void {
    if (this.#firstAt === NONE) return;
    if (this.#batches) {
      this.#unstage();
      const size = (this.#firstWord + 7) & ~7;
      this.#batches = ((this.#head - size) & this.#mask) !== this.#firstAt;
    }
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
        this.#words[0] = 0;
        this.#put(at, -rest);
        this.#head = (this.#head + rest) | 0;
        continue;
      }
      const count = Math.min(wanted, space - RECORD_HEADER);
      this.#clearNext(count);
      this.#bytes.set(
        count === end && next === 0
          ? chunk
          : chunk.subarray(next, next + count),
        at + RECORD_HEADER,
      );
      this.#finish(at, count);
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
    this.#unstage(); // moves the head
    if (this.#reservedAt === NONE || this.#reservedHead !== this.#head) {
      throw new TypeError("Cannot commit to ring: nothing is reserved");
    }
    if (!(length >= 0 && length <= this.#reservedLength)) {
      throw new RangeError(
        `Cannot commit to ring: ${length} bytes, ${this.#reservedLength} ` +
          "are reserved",
      );
    }
    this.#clearNext(length);
    this.#finish(this.#reservedAt, length);
    this.#reservedAt = NONE;
  }
}
