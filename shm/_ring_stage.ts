// Small records of a batch, put together in memory of this process's own.

import { RECORD_HEADER } from "./_ring_layout.ts";

/** Bytes of records that are put together: they stay in the first cache. */
const SIZE = 8 * 1024;

/**
 * Lines that the other core has come one after the other where each waits for
 * eight stores of 8 bytes; a copy of many records at once asks for many lines.
 */
export class RingStage {
  /** Bytes of the records so far. */
  length = 0;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly words: Int32Array<ArrayBuffer>;
  readonly longs: BigInt64Array<ArrayBuffer>;

  constructor(capacity: number) {
    const buffer = new ArrayBuffer(Math.min(SIZE, capacity));
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    this.longs = new BigInt64Array(buffer);
  }

  /** Adds a record for which there is room. `source`: the payload by words. */
  add(payload: Uint8Array, source: BigInt64Array | undefined): void {
    const at = this.length;
    const length = payload.length;
    this.words[at >> 2] = length + RECORD_HEADER;
    this.words[(at >> 2) + 1] = 0;
    if (source !== undefined) {
      const longs = this.longs;
      const to = (at + RECORD_HEADER) >> 3;
      const count = length >> 3;
      for (let i = 0; i < count; i++) longs[to + i] = source[i];
    } else this.bytes.set(payload, at + RECORD_HEADER);
    this.length = at + ((length + RECORD_HEADER + 7) & ~7);
  }

  /** Empties it into `target` from byte `to` on. */
  moveTo(target: Uint8Array, to: number): void {
    target.set(this.bytes.subarray(0, this.length), to);
    this.length = 0;
  }
}
