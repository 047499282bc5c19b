// A producer's hot path: one 64-bit exchange per record.

import type { QueueParts } from "./_queue_layout.ts";
import {
  corruptQueue,
  HEAD,
  join,
  longestQueued,
  QUEUE_TAIL,
  queuedSize,
  RECORD,
  SKIP,
} from "./_queue_layout.ts";
import { TSO } from "./_ring_access.ts";

/** Lost exchanges in a row; honest peers leave far fewer. */
const MAX_TRIES = 10_000;

/** Writes records under one slot. */
export class QueueProducerCore {
  readonly longest: number;
  #parts: QueueParts;
  #slot: number;
  #tail: number;
  #current = new Int32Array(2);
  #current64 = new BigInt64Array(this.#current.buffer);
  /** A reservation: where it starts, where its record does, its bytes. */
  #start = -1;
  #record = 0;
  #total = 0;
  #length = 0;

  constructor(parts: QueueParts, slot: number) {
    this.#parts = parts;
    this.#slot = slot;
    this.longest = longestQueued(parts.capacity);
    this.#tail = Atomics.load(parts.head, QUEUE_TAIL);
  }

  /** Takes room for a payload of `length`; whether there was any. */
  #claim(length: number): boolean {
    const { head, head64, capacity } = this.#parts;
    if (head.length === 0) {
      throw new Deno.errors.BadResource(
        "Cannot write to queue: shared memory is closed",
      );
    }
    if (length > this.longest) {
      throw new RangeError(
        `Cannot write to queue: record of ${length} bytes exceeds its ` +
          `longest, ${this.longest}`,
      );
    }
    if (this.#start >= 0) this.abandon();
    const size = queuedSize(length);
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const seen = Atomics.load(head64, HEAD);
      this.#current64[0] = seen;
      const position = this.#current[0];
      const last = this.#current[1];
      const at = position & (capacity - 1);
      if ((at & 7) !== 0) throw corruptQueue(`head ${position >>> 0}`);
      const rest = capacity - at;
      const total = rest < size ? rest + size : size;
      if (((position - this.#tail) | 0) + total > capacity) {
        this.#tail = Atomics.load(head, QUEUE_TAIL);
        const used = (position - this.#tail) | 0;
        // Below 0 the head that was seen is old by now.
        if (used < 0) continue;
        if (used > capacity) throw corruptQueue(`tail ${this.#tail >>> 0}`);
        if (used + total > capacity) return false;
      }
      this.#mark(position, last);
      const next = join(
        (position + total) | 0,
        (this.#slot << 24) | (total >> 3),
      );
      if (Atomics.compareExchange(head64, HEAD, seen, next) !== seen) continue;
      this.#start = at;
      this.#record = total === size ? at : 0;
      this.#total = total;
      this.#length = length;
      return true;
    }
    return false;
  }

  /** Writes the owner of the last reservation into it, if it didn't commit. */
  #mark(position: number, last: number): void {
    const { words, words64, capacity } = this.#parts;
    const size = (last & 0xff_ffff) << 3;
    if (size === 0 || size > capacity) return;
    const start = (position - size) | 0;
    const at = start & (capacity - 1);
    if (Atomics.load(words, at >> 2) !== 0) return;
    Atomics.compareExchange(
      words64,
      at >> 3,
      join(0, start),
      join(-size, last >>> 24),
    );
  }

  /** Makes the reservation visible. */
  #publish(): void {
    const { words } = this.#parts;
    const record = this.#record >> 2;
    const word = this.#length + RECORD;
    if (this.#record !== this.#start) {
      // The record lies at the ring's start; the rest before it is skipped.
      const pad = this.#total - queuedSize(this.#length);
      Atomics.store(words, record, word);
      Atomics.store(words, this.#start >> 2, SKIP | pad);
    } else if (TSO) words[record] = word;
    else Atomics.store(words, record, word);
    this.#start = -1;
  }

  append(payload: Uint8Array): boolean {
    if (!this.#claim(payload.length)) return false;
    this.#parts.bytes.set(payload, this.#record + RECORD);
    this.#publish();
    return true;
  }

  reserve(length: number): Uint8Array<ArrayBuffer> | undefined {
    if (!this.#claim(length)) return undefined;
    const from = this.#record + RECORD;
    return this.#parts.bytes.subarray(from, from + length);
  }

  commit(): void {
    if (this.#start < 0) {
      throw new TypeError("Cannot commit to queue: nothing is reserved");
    }
    this.#publish();
  }

  /** Has the consumer skip what was reserved and not committed. */
  abandon(): void {
    if (this.#start < 0 || this.#parts.words.length === 0) return;
    const pad = this.#total - queuedSize(this.#length);
    if (this.#record !== this.#start) {
      Atomics.store(this.#parts.words, 0, SKIP | (this.#total - pad));
      Atomics.store(this.#parts.words, this.#start >> 2, SKIP | pad);
    } else {Atomics.store(
        this.#parts.words,
        this.#start >> 2,
        SKIP | this.#total,
      );}
    this.#start = -1;
  }
}
