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
  /** Values that each open array or map still needs. */
  #open: number[];
  #depth = 0;
  /** Values begun or awaited. All but those begun take at least a byte each. */
  #pending = 1;
  #length = 0;
  #skip = 0;
  #head = NO_HEAD;
  #lengthBytes = 0;
  #size = 0;

  constructor(limits: ScanLimits) {
    this.#limits = { ...limits };
    this.#open = new Array(Math.min(limits.maxDepth, 1024)).fill(0);
  }

  /** The most bytes of the next value. */
  set maxLength(length: number) {
    this.#limits.maxLength = length;
  }

  /** Starts over. */
  reset(): void {
    this.#depth = this.#length = this.#skip = 0;
    this.#pending = 1;
    this.#head = NO_HEAD;
  }

  /**
   * Reads on. Returns the index after the value, or -1 where `bytes` ended
   * before; then the next call goes on with the bytes that follow.
   */
  scan(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, end - at);
        this.#skip -= step;
        at += step;
        if (this.#skip > 0) break;
        if (this.#endValue()) return this.#done(at);
        continue;
      }
      const byte = bytes[at++];
      if (this.#head !== NO_HEAD) {
        this.#size = this.#size * 256 + byte;
        if (--this.#lengthBytes > 0) continue;
        const head = this.#head;
        this.#head = NO_HEAD;
        if (this.#sized(head, this.#size, this.#length + at - start)) {
          return this.#done(at);
        }
        continue;
      }
      if (byte < 0x80 || byte >= 0xe0) { // fixint
        if (this.#endValue()) return this.#done(at);
      } else if (this.#begin(byte, this.#length + at - start)) {
        return this.#done(at);
      }
    }
    this.#length += at - start;
    return -1;
  }

  #done(at: number): number {
    this.reset();
    return at;
  }

  /** Takes a head byte. Returns whether the whole value ends with it. */
  #begin(byte: number, read: number): boolean {
    if (byte < 0x90) return this.#openContainer(2 * (byte & 15), read);
    if (byte < 0xa0) return this.#openContainer(byte & 15, read);
    if (byte < 0xc0) return this.#body(byte & 31, read);
    if (byte === 0xc1) throw malformedValue("the byte 0xc1 begins no value");
    if (byte < 0xc4) return this.#endValue();
    const lengthBytes = LENGTH_BYTES[byte - 0xc4];
    if (lengthBytes === 0) return this.#body(BODY_BYTES[byte - 0xc4], read);
    this.#head = byte;
    this.#lengthBytes = lengthBytes;
    this.#size = 0;
    return false;
  }

  #sized(head: number, size: number, read: number): boolean {
    if (head >= 0xde) return this.#openContainer(2 * size, read);
    if (head >= 0xdc) return this.#openContainer(size, read);
    return this.#body(size + BODY_BYTES[head - 0xc4], read);
  }

  #body(size: number, read: number): boolean {
    this.#check(read + size + this.#pending - this.#depth - 1);
    this.#skip = size;
    return size === 0 && this.#endValue();
  }

  #openContainer(values: number, read: number): boolean {
    this.#check(read + values + this.#pending - this.#depth - 1);
    if (values === 0) return this.#endValue();
    if (this.#depth >= this.#limits.maxDepth) {
      throw malformedValue(
        `the value is nested deeper than maxDepth ${this.#limits.maxDepth}`,
      );
    }
    this.#pending += values;
    this.#open[this.#depth++] = values;
    return false;
  }

  #check(least: number): void {
    if (least <= this.#limits.maxLength) return;
    throw new FrameError(
      `Cannot decode frame: a value of at least ${least} bytes exceeds ` +
        `${this.#limits.bound} ${this.#limits.maxLength}`,
      { code: "too-long" },
    );
  }

  /** Closes what ends with the value. Returns whether that is everything. */
  #endValue(): boolean {
    this.#pending--;
    while (this.#depth > 0) {
      if (--this.#open[this.#depth - 1] > 0) return false;
      this.#depth--;
      this.#pending--;
    }
    return true;
  }
}

function malformedValue(what: string): FrameError {
  return new FrameError(`Cannot decode frame: ${what}`, { code: "malformed" });
}
