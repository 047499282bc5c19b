// A broadcast ring: the sender never waits, receivers notice when it has
// lapped them. Little-endian; docs/shm-layout.md is the reference.
//
//      0  u32  magic "SLBC"                16  u32 x4  the sender (see Side)
//      4  u32  version, last
//      8  u32  capacity, a power of two
//    128  u32  intent: end of what is being written
//    132  u32  tail: end of what is written
//    136  u32  latest: start of the last record
//    256       the records
//
// A record starts at a multiple of 8 and never wraps:
//
//      0  i32  n > 0: n bytes with these 8; n < 0: nothing up to the ring's end
//      4  u32  the record's number, modulo 2^32
//      8       the payload, padded to a multiple of 8
//
// A receiver copies first and then checks that `intent` has not come within
// the ring's length of the record: else what it copied may be torn.

import { TSO } from "./_ring_access.ts";

export const BROADCAST_MAGIC = 0x4342_4c53; // "SLBC" in memory
export const BROADCAST_HEAD = 256;
export const SENDER = 4;
export const INTENT = 32;
export const BROADCAST_TAIL = 33;
export const LATEST = 34;
const RECORD = 8;

/**
 * Stores a payload by words that no processor moves before the intent. A
 * release, which all stores of JavaScript's atomics are, holds back only what
 * comes before it; plain stores after the intent could overtake it.
 */
function storeInOrder(words: Int32Array, at: number, payload: Uint8Array) {
  const { length } = payload;
  for (let i = 0; i < length; i += 4) {
    // Bytes beyond the end are `undefined`, which shifts as 0.
    Atomics.store(
      words,
      (at + i) >> 2,
      payload[i] | payload[i + 1] << 8 | payload[i + 2] << 16 |
        payload[i + 3] << 24,
    );
  }
}

/** An atomic operation of this process' own, for its effect as a fence. */
const fenceWord = new Int32Array(1);
function loadFence(): void {
  if (!TSO) Atomics.add(fenceWord, 0, 0);
}

export interface BroadcastParts {
  head: Int32Array;
  words: Int32Array;
  bytes: Uint8Array<ArrayBuffer>;
  capacity: number;
}

/** The longest payload: a receiver has to have a chance to read it. */
export function longestBroadcast(capacity: number): number {
  return capacity / 4 - RECORD;
}

/** The sender's side. */
export class BroadcastSenderCore {
  #parts: BroadcastParts;
  #tail: number;
  #number: number;

  constructor(parts: BroadcastParts) {
    this.#parts = parts;
    this.#tail = Atomics.load(parts.head, BROADCAST_TAIL) & ~7;
    // After the last record that a sender before this one finished.
    const latest = Atomics.load(parts.head, LATEST) & (parts.capacity - 1) & ~7;
    this.#number = parts.words[latest >> 2] === 0
      ? 0
      : (parts.words[(latest >> 2) + 1] + 1) | 0;
  }

  send(payload: Uint8Array): void {
    const { head, words, bytes, capacity } = this.#parts;
    if (words.length === 0) {
      throw new Deno.errors.BadResource(
        "Cannot broadcast: shared memory is closed",
      );
    }
    const length = payload.length;
    if (length > longestBroadcast(capacity)) {
      throw new RangeError(
        `Cannot broadcast: record of ${length} bytes exceeds its longest, ` +
          `${longestBroadcast(capacity)}`,
      );
    }
    const size = (length + RECORD + 7) & ~7;
    let at = this.#tail & (capacity - 1);
    const rest = capacity - at;
    const pad = rest < size ? rest : 0;
    const start = (this.#tail + pad) | 0;
    const end = (start + size) | 0;
    // No store below may come before it.
    Atomics.store(head, INTENT, end);
    if (TSO) {
      if (pad > 0) {
        words[at >> 2] = -pad;
        at = 0;
      }
      words[at >> 2] = length + RECORD;
      words[(at >> 2) + 1] = this.#number;
      bytes.set(payload, at + RECORD);
    } else {
      if (pad > 0) {
        Atomics.store(words, at >> 2, -pad);
        at = 0;
      }
      Atomics.store(words, at >> 2, length + RECORD);
      Atomics.store(words, (at >> 2) + 1, this.#number);
      storeInOrder(words, at + RECORD, payload);
    }
    this.#number = (this.#number + 1) | 0;
    this.#tail = end;
    Atomics.store(head, LATEST, start);
    Atomics.store(head, BROADCAST_TAIL, end);
  }
}

/** A receiver's side. */
export class BroadcastReceiverCore {
  /** Records that were overwritten before this side came to them. */
  lost = 0;
  #parts: BroadcastParts;
  #at: number;
  /** The number of the next record, once one was seen. */
  #number: number | undefined;

  constructor(parts: BroadcastParts) {
    this.#parts = parts;
    this.#at = Atomics.load(parts.head, BROADCAST_TAIL) & ~7;
  }

  get closed(): boolean {
    return this.#parts.words.length === 0;
  }

  /** Copies the next record into `into`; its length, or -1. */
  read(into: Uint8Array): number {
    const { head, words, bytes, capacity } = this.#parts;
    if (words.length === 0) {
      throw new Deno.errors.BadResource(
        "Cannot receive a broadcast: shared memory is closed",
      );
    }
    // Each lap costs a try; a sender that laps at every try has us give up.
    for (let tries = 0; tries < 16; tries++) {
      const tail = Atomics.load(head, BROADCAST_TAIL);
      const behind = (tail - this.#at) | 0;
      if (behind === 0) return -1;
      if (behind < 0 || behind > capacity || this.#lapped()) {
        this.#jump();
        continue;
      }
      const at = this.#at & (capacity - 1);
      const word = words[at >> 2];
      const number = words[(at >> 2) + 1];
      const pad = word < 0;
      const valid = pad
        ? -word === capacity - at && at !== 0
        : word >= RECORD && word - RECORD <= longestBroadcast(capacity) &&
          at + word <= capacity;
      const length = word - RECORD;
      const fits = length <= into.length;
      if (valid && !pad && fits) {
        into.set(bytes.subarray(at + RECORD, at + RECORD + length));
      }
      loadFence();
      if (this.#lapped()) {
        this.#jump();
        continue;
      }
      // Nobody wrote over it, so what is wrong was written so.
      if (!valid) {
        throw new Deno.errors.InvalidData(
          `Cannot receive a broadcast: corrupt, record length ${word} at ${at}`,
        );
      }
      if (pad) {
        this.#at = (this.#at - word) | 0;
        continue;
      }
      if (!fits) {
        throw new RangeError(
          `Cannot receive a broadcast: record of ${length} bytes, ` +
            `the buffer holds ${into.length}`,
        );
      }
      if (this.#number !== undefined) {
        this.lost += (number - this.#number) >>> 0;
      }
      this.#number = (number + 1) | 0;
      this.#at = (this.#at + ((word + 7) & ~7)) | 0;
      return length;
    }
    return -1;
  }

  /** Whether the sender has begun to write over the record at hand. */
  #lapped(): boolean {
    const ahead = (Atomics.load(this.#parts.head, INTENT) - this.#at) | 0;
    return ahead < 0 || ahead > this.#parts.capacity;
  }

  /** Goes on at the last record. What lies between counts as lost. */
  #jump(): void {
    this.#at = Atomics.load(this.#parts.head, LATEST) & ~7;
  }
}
