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
  /** Bytes of records that may be here, as there is room for them in the ring. */
  room = 0;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly words: Int32Array<ArrayBuffer>;
  readonly longs: BigInt64Array<ArrayBuffer>;

  constructor(size: number = SIZE) {
    const buffer = new ArrayBuffer(size);
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    this.longs = new BigInt64Array(buffer);
  }

  /** Adds a record of any bytes. */
  add(payload: Uint8Array): void {
    const at = this.length;
    this.#begin(at, payload.length);
    this.bytes.set(payload, at + RECORD_HEADER);
    this.length = at + ((payload.length + RECORD_HEADER + 7) & ~7);
  }

  /** Adds a record whose payload is the first `length` bytes of `source`. */
  addWords(source: BigInt64Array, length: number): void {
    const at = this.length;
    this.#begin(at, length);
    const { longs } = this;
    const to = (at >> 3) + 1;
    const count = length >> 3;
    for (let i = 0; i < count; i++) longs[(to + i) | 0] = source[i];
    this.length = at + length + RECORD_HEADER;
  }

  #begin(at: number, length: number): void {
    const { words } = this;
    words[at >> 2] = length + RECORD_HEADER;
    words[(at >> 2) + 1] = 0;
  }
}

/** Stands in until a batch is begun, so that there is always one. */
export const NO_STAGE = new RingStage(0);
