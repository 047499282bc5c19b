// The consumer's hot path, and how it gets past the dead.

import { wordAlive } from "./_identity_word.ts";
import type { QueueParts } from "./_queue_layout.ts";
import {
  corruptQueue,
  free,
  FREEING,
  HEAD,
  longestQueued,
  QUEUE_TAIL,
  queuedSize,
  RECORD,
  SKIP,
} from "./_queue_layout.ts";

const NONE = -1;
/** How long a reservation may stay open before its owner is looked up, in ms. */
const PATIENCE = 10;
/** How often slots of the dead are freed, in ms. */
const SWEEP = 250;

/** Reads records that many write. */
export class QueueConsumerCore {
  /** Records that a producer had reserved when it died. */
  lost = 0;
  readonly longest: number;
  #parts: QueueParts;
  #tail: number;
  #published: number;
  #current = new Int32Array(2);
  #current64 = new BigInt64Array(this.#current.buffer);
  /** Where it waits for a commit, and since when. */
  #stuckAt = 0;
  #stuckSince = 0;
  #idle = 0;
  #swept = 0;

  constructor(parts: QueueParts) {
    this.#parts = parts;
    this.longest = longestQueued(parts.capacity);
    this.#tail = Atomics.load(parts.head, QUEUE_TAIL) & ~7;
    // A consumer that died here had read these, and may not have cleared all.
    const freeing = Atomics.load(parts.head, FREEING) & ~7;
    const half = (freeing - this.#tail) | 0;
    if (half > 0 && half <= parts.capacity) {
      free(parts.words, parts.capacity, this.#tail, freeing);
      this.#tail = freeing;
      Atomics.store(parts.head, QUEUE_TAIL, freeing);
    }
    this.#published = this.#tail;
  }

  /** The next record's length, or -1. */
  next(): number {
    const { words, capacity } = this.#parts;
    if (words.length === 0) {
      throw new Deno.errors.BadResource(
        "Cannot read from queue: shared memory is closed",
      );
    }
    // Each round skips something; what is skipped adds up to the ring at most.
    for (let round = 0; round < 64; round++) {
      const at = this.#tail & (capacity - 1);
      const word = Atomics.load(words, at >> 2);
      if (word >= SKIP) {
        const size = word - SKIP;
        if (size < RECORD || (size & 7) !== 0 || at + size > capacity) {
          throw corruptQueue(`skip of ${size} bytes at ${at}`);
        }
        this.#advance(size);
      } else if (word > 0) {
        const length = word - RECORD;
        if (length < 0 || length > this.longest || at + word > capacity) {
          throw corruptQueue(`record length ${word} at ${at}`);
        }
        return length;
      } else {
        const size = word < 0
          ? this.#deadOwner(words[(at >> 2) + 1], -word)
          : this.#unmarked();
        if (size === 0) return NONE;
        this.lost++;
        this.#advance(size);
      }
    }
    return NONE;
  }

  /** A record that shows nothing: empty, or reserved by the last one to do so. */
  #unmarked(): number {
    const { head64 } = this.#parts;
    this.#current64[0] = Atomics.load(head64, HEAD);
    const position = this.#current[0];
    const last = this.#current[1];
    if (position === this.#tail) {
      if (this.#published !== this.#tail) this.#publish();
      // Who waits looks 125 times a second; who spins asks for the time seldom.
      if ((++this.#idle & 15) === 0) this.#sweep();
      return 0;
    }
    const size = (last & 0xff_ffff) << 3;
    if (((position - size) | 0) !== this.#tail) return 0; // look again later
    return this.#deadOwner(last >>> 24, size);
  }

  /** The size of a reservation whose owner is proven dead, or 0. */
  #deadOwner(slot: number, size: number): number {
    const { slots, capacity } = this.#parts;
    if (this.#published !== this.#tail) this.#publish();
    const now = performance.now();
    if (this.#stuckAt !== this.#tail || this.#stuckSince === 0) {
      this.#stuckAt = this.#tail;
      this.#stuckSince = now;
    }
    if (now - this.#stuckSince < PATIENCE) return 0;
    this.#stuckSince = now;
    if (
      !(slot >= 0 && slot < slots.length) || size < RECORD ||
      size > capacity || (size & 7) !== 0
    ) throw corruptQueue(`reservation of ${size} bytes by slot ${slot}`);
    const owner = Atomics.load(slots, slot);
    if (owner === 0n || wordAlive(owner)) return 0;
    // It may have committed just before it died.
    const at = (this.#tail & (capacity - 1)) >> 2;
    if (Atomics.load(this.#parts.words, at) > 0) return 0;
    return size;
  }

  /** Steps over `size` bytes and clears them. */
  #advance(size: number): void {
    const { head, words, capacity } = this.#parts;
    const to = (this.#tail + size) | 0;
    Atomics.store(head, FREEING, to);
    free(words, capacity, this.#tail, to);
    this.#tail = to;
    if (((to - this.#published) | 0) >= capacity >> 2) this.#publish();
  }

  #publish(): void {
    this.#published = this.#tail;
    Atomics.store(this.#parts.head, QUEUE_TAIL, this.#tail);
  }

  /** Frees slots of dead producers. Only while nothing is reserved. */
  #sweep(): void {
    const now = performance.now();
    if (now - this.#swept < SWEEP) return;
    this.#swept = now;
    const { slots } = this.#parts;
    for (let slot = 0; slot < slots.length; slot++) {
      const owner = Atomics.load(slots, slot);
      if (owner !== 0n && !wordAlive(owner)) {
        Atomics.compareExchange(slots, slot, owner, 0n);
      }
    }
  }

  read(into: Uint8Array): number {
    const length = this.next();
    if (length < 0) return NONE;
    if (length > into.length) {
      throw new RangeError(
        `Cannot read from queue: record of ${length} bytes, ` +
          `the buffer holds ${into.length}`,
      );
    }
    const from = (this.#tail & (this.#parts.capacity - 1)) + RECORD;
    into.set(this.#parts.bytes.subarray(from, from + length));
    this.#advance(queuedSize(length));
    return length;
  }

  /** A copy of the next record. */
  readCopy(): Uint8Array<ArrayBuffer> | undefined {
    const length = this.next();
    if (length < 0) return undefined;
    const from = (this.#tail & (this.#parts.capacity - 1)) + RECORD;
    const copy = this.#parts.bytes.slice(from, from + length);
    this.#advance(queuedSize(length));
    return copy;
  }

  get closed(): boolean {
    return this.#parts.words.length === 0;
  }

  close(): void {
    if (!this.closed) this.#publish();
  }
}
