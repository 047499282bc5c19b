// Walks MessagePack without decoding it: no recursion, no allocation by size.

import { FrameError } from "./frame_error.ts";

/** What a {@linkcode MessagePackScanner} refuses. */
export interface ScanLimits {
  /** The most bytes of one value. */
  maxLength: number;
  /** What `maxLength` is, for messages. */
  bound: string;
  /** The most arrays and maps within each other. */
  maxDepth: number;
}

const NO_HEAD = -1;

/** Bytes of the length after each head byte from 0xc4 to 0xdf. */
const LENGTH_BYTES = [
  ...[1, 2, 4], // bin
  ...[1, 2, 4], // ext
  ...[0, 0, 0, 0, 0, 0, 0, 0, 0, 0], // floats and integers
  ...[0, 0, 0, 0, 0], // fixext
  ...[1, 2, 4], // str
  ...[2, 4], // array
  ...[2, 4], // map
];

/**
 * Bytes after the head byte and the length that hold no value: the bodies of
 * 0xc4 to 0xdf without what their length tells.
 */
const BODY_BYTES = [
  ...[0, 0, 0],
  ...[1, 1, 1], // the ext type
  ...[4, 8, 1, 2, 4, 8, 1, 2, 4, 8],
  ...[2, 3, 5, 9, 17],
  ...[0, 0, 0],
  ...[0, 0],
  ...[0, 0],
];

/** Finds where a value ends. It goes on at any byte where the last piece ended. */
export class MessagePackScanner {
  #limits: ScanLimits;
  /** For each open array or map but the last: values that it still needs. */
  #open: number[];
  #depth = 0;
  /** Values that the innermost array or map still needs; 1 outside of all. */
  #left = 1;
  /** Values that did not begin yet: at least so many bytes must follow. */
  #awaited = 1;
  /** Bytes of this value in earlier pieces. */
  #length = 0;
  /** Bytes of a str, bin or ext that must follow. */
  #skip = 0;
  /** A head byte whose length is not whole yet. */
  #head = NO_HEAD;
  #lengthBytes = 0;
  #size = 0;

  constructor(limits: ScanLimits) {
    this.#limits = { ...limits };
    this.#open = new Array(limits.maxDepth).fill(0);
  }

  /** The most bytes of the next value. */
  set maxLength(length: number) {
    this.#limits.maxLength = length;
  }

  /** Starts over. */
  reset(): void {
    this.#depth = this.#length = this.#skip = 0;
    this.#left = this.#awaited = 1;
    this.#head = NO_HEAD;
  }

  /**
   * Reads on. Returns the index after the value, or -1 where `bytes` ended
   * before; then the next call goes on with the bytes that follow.
   */
  scan(bytes: Uint8Array, start: number, end: number): number {
    const { maxLength, maxDepth } = this.#limits;
    const open = this.#open;
    const earlier = this.#length - start;
    let at = start;
    let depth = this.#depth, left = this.#left, awaited = this.#awaited;
    let skip = this.#skip, head = this.#head;
    let lengthBytes = this.#lengthBytes, size = this.#size;
    for (;;) {
      if (skip > 0) {
        const step = Math.min(skip, end - at);
        at += step;
        skip -= step;
        if (skip > 0) break;
      } else {
        if (head === NO_HEAD) {
          if (at === end) break;
          head = bytes[at++];
          awaited--;
          size = 0;
          lengthBytes = head >= 0xc4 && head < 0xe0
            ? LENGTH_BYTES[head - 0xc4]
            : 0;
        }
        for (; lengthBytes > 0 && at < end; lengthBytes--) {
          size = size * 256 + bytes[at++];
        }
        if (lengthBytes > 0) break;
        let values = 0;
        if (head < 0x80 || head >= 0xe0) { // an integer in the head itself
        } else if (head < 0x90) values = 2 * (head & 15);
        else if (head < 0xa0) values = head & 15;
        else if (head < 0xc0) skip = head & 31;
        else if (head >= 0xde) values = 2 * size;
        else if (head >= 0xdc) values = size;
        else if (head >= 0xc4) skip = size + BODY_BYTES[head - 0xc4];
        else if (head === 0xc1) throw beginsNoValue();
        head = NO_HEAD;
        if (skip > 0 || values > 0) {
          awaited += values;
          const least = earlier + at + skip + awaited;
          if (least > maxLength) throw this.#tooLong(least);
        }
        if (values > 0) {
          if (depth === maxDepth) throw tooDeep(maxDepth);
          open[depth++] = left;
          left = values;
        }
        if (skip > 0 || values > 0) continue;
      }
      // A value has ended, and with it the arrays and maps that it completes.
      while (--left === 0) {
        if (depth === 0) {
          this.reset();
          return at;
        }
        left = open[--depth];
      }
    }
    this.#length = earlier + at;
    this.#depth = depth;
    this.#left = left;
    this.#awaited = awaited;
    this.#skip = skip;
    this.#head = head;
    this.#lengthBytes = lengthBytes;
    this.#size = size;
    return -1;
  }

  #tooLong(least: number): FrameError {
    return new FrameError(
      `Cannot decode frame: a value of at least ${least} bytes exceeds ` +
        `${this.#limits.bound} ${this.#limits.maxLength}`,
      { code: "too-long" },
    );
  }
}

function beginsNoValue(): FrameError {
  return new FrameError(
    "Cannot decode frame: the byte 0xc1 begins no MessagePack value",
    { code: "malformed" },
  );
}

function tooDeep(maxDepth: number): FrameError {
  return new FrameError(
    `Cannot decode frame: the value is nested deeper than maxDepth ${maxDepth}`,
    { code: "malformed" },
  );
}
