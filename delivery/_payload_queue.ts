// Payloads that arrived and were not taken.

import { payloadLength } from "./_frame_header.ts";
import { HEADER_BYTES } from "./_wire.ts";

/** Payloads in one buffer, with a header between each two. */
interface Run {
  readonly bytes: Uint8Array;
  /** Where the first payload begins and ends. */
  readonly start: number;
  readonly end: number;
  readonly count: number;
}

const EMPTY = new Uint8Array(0);

/**
 * Keeps messages where they came, in their order, and finds each one's payload
 * when it is taken: nothing is made for a message before.
 */
export class PayloadQueue {
  size = 0;
  /** The payload that was taken last: `bytes` from `start` to `end`. */
  bytes: Uint8Array = EMPTY;
  start = 0;
  end = 0;
  #runs: Run[] = [];
  /** The run after the one that is under way, by its index. */
  #next = 0;
  /** What is left of the one that is under way. */
  #left = 0;

  /** Adds `count` payloads, of which the first is `bytes` from `start` to `end`. */
  push(bytes: Uint8Array, start: number, end: number, count: number): void {
    this.#runs.push({ bytes, start, end, count });
    this.size += count;
  }

  /** Takes the oldest one, which is then in the fields. There has to be one. */
  shift(): void {
    this.size--;
    if (this.#left === 0) return this.#startRun();
    this.#left--;
    const at = this.end;
    this.start = at + HEADER_BYTES;
    this.end = this.start + payloadLength(this.bytes, at);
  }

  #startRun(): void {
    const { bytes, start, end, count } = this.#runs[this.#next++];
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.#left = count - 1;
    if (this.#next === this.#runs.length) this.#runs.length = this.#next = 0;
  }

  /** Lets go of the payload that was taken last, where it was the last one. */
  release(): void {
    this.bytes = EMPTY;
  }

  clear(): void {
    this.#runs = [];
    this.bytes = EMPTY;
    this.#next = this.#left = this.size = 0;
  }
}
