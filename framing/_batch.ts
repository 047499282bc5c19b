import { giveBuffer, takeBuffer } from "./_buffer_pool.ts";
import type { FrameFormat, FrameLimits } from "./format.ts";
import { checkLength, resolveLimits } from "./_limits.ts";

/** The most bytes of a batch: two frames of 64 KiB fit. */
const BATCH_LENGTH = 132 * 1024;
/** The first buffer; each later one has four times the last: idle ones are many. */
const FIRST_LENGTH = 4 * 1024;
/** From here on, a payload goes by itself rather than through a copy. */
const LARGE = 16 * 1024;

/** Up to here, a loop takes less time than a view to copy from. */
const COPIED_BY_HAND = 64;

const EMPTY = new Uint8Array(0);

/**
 * Puts frames one after the other into a buffer. What was emitted is not written
 * again before its `release`: a stream may hold on to it. A buffer is used up
 * piece by piece, so a batch of one small frame doesn't cost a new one.
 */
export class FrameBatch {
  /** Whether `release` is called. */
  reuses = false;
  /** From how many bytes on a payload goes by itself. */
  large = LARGE;
  #limits: Required<FrameLimits>;
  #format: FrameFormat;
  #trailer: Uint8Array;
  #emit: (chunk: Uint8Array) => void;
  #buffer: Uint8Array<ArrayBuffer> = EMPTY;
  #nextLength = FIRST_LENGTH;
  #start = 0;
  #end = 0;
  /** Buffers that are used up and not released, and where their last chunk ends. */
  #retired: { bytes: Uint8Array<ArrayBuffer>; end: number }[] = [];

  constructor(
    format: FrameFormat,
    limits: FrameLimits | undefined,
    emit: (chunk: Uint8Array) => void,
  ) {
    this.#format = format;
    this.#limits = resolveLimits(limits);
    this.#trailer = format.trailer;
    this.#emit = emit;
  }

  /** Bytes that were added and not yet emitted. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Throws where the payload can't be a frame. */
  check(payload: Uint8Array): void {
    const { length } = payload;
    if (
      length > this.#limits.maxFrameLength ||
      length < this.#limits.minFrameLength
    ) checkLength("encode", length, this.#limits);
    this.#format.checkPayload?.(payload);
    this.#format.headerLength(length); // throws for what it can't express
  }

  /**
   * Adds a frame that was checked. With `keep`, a large payload is emitted as it
   * is, after its header; without, it is copied.
   */
  add(payload: Uint8Array, keep: boolean): void {
    const { length } = payload;
    const header = this.#format.headerLength(length);
    if (keep && length >= this.large) {
      this.#reserve(header);
      this.#format.writeHeader(this.#buffer, this.#end, length);
      this.#end += header;
      this.flush();
      this.#emit(payload);
      if (this.#trailer.length > 0) this.#emit(this.#trailer.slice());
      return;
    }
    this.#reserve(header + length + this.#trailer.length);
    this.#format.writeHeader(this.#buffer, this.#end, length);
    this.#buffer.set(payload, this.#end + header);
    this.#end += header + length;
    this.#addTrailer();
  }

  /**
   * Checks and adds a frame of the first `length` of `bytes`, which are copied.
   * The format has no `checkPayload`.
   */
  addSmall(bytes: Uint8Array, length: number): void {
    const { maxFrameLength, minFrameLength } = this.#limits;
    if (length > maxFrameLength || length < minFrameLength) {
      checkLength("encode", length, this.#limits);
    }
    const header = this.#format.headerLength(length);
    const all = header + length + this.#trailer.length;
    // What is emitted then may end in a stream that encodes with the same codec.
    if (this.#end + all > this.#buffer.length) bytes = bytes.slice(0, length);
    this.#reserve(all);
    this.#format.writeHeader(this.#buffer, this.#end, length);
    const from = this.#end + header;
    if (length > COPIED_BY_HAND) {
      this.#buffer.set(bytes.subarray(0, length), from);
    } else {
      const buffer = this.#buffer;
      for (let i = 0; i < length; i++) buffer[from + i] = bytes[i];
    }
    this.#end = from + length;
    this.#addTrailer();
  }

  #addTrailer(): void {
    if (this.#trailer.length === 0) return;
    this.#buffer.set(this.#trailer, this.#end);
    this.#end += this.#trailer.length;
  }

  /** Emits what was added. */
  flush(): void {
    if (this.#end === this.#start) return;
    // Not kept: buffers that outlive a collection cost streams two thirds.
    const chunk = this.#buffer.subarray(this.#start, this.#end);
    this.#start = this.#end;
    this.#emit(chunk);
  }

  /**
   * Tells that a chunk, and every one before it, is done with: their memory
   * serves again.
   */
  release(chunk: Uint8Array): void {
    const { buffer } = chunk;
    const end = chunk.byteOffset + chunk.length;
    if (buffer === this.#buffer.buffer) {
      if (this.length > 0 || end !== this.#end) return;
      this.#start = this.#end = 0;
      if (this.#buffer.length <= FIRST_LENGTH) return;
      if (8 * end < this.#buffer.length) {
        this.#nextLength = Math.max(this.#nextLength / 4, FIRST_LENGTH);
      }
      giveBuffer(this.#buffer); // all is out: others may need it more
      this.#buffer = EMPTY;
      return;
    }
    const oldest = this.#retired[0];
    if (oldest?.bytes.buffer !== buffer || oldest.end !== end) return;
    this.#retired.shift();
    giveBuffer(oldest.bytes);
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#buffer.length) return;
    this.flush();
    if (this.#end + bytes <= this.#buffer.length) return; // out already
    if (this.reuses && this.#buffer.length > 0) {
      if (this.#end > 0) {
        this.#retired.push({ bytes: this.#buffer, end: this.#end });
      } else giveBuffer(this.#buffer);
    }
    const length = Math.max(bytes, this.#nextLength);
    this.#buffer = this.reuses ? takeBuffer(length) : new Uint8Array(length);
    this.#nextLength = Math.min(4 * this.#nextLength, BATCH_LENGTH);
    this.#start = this.#end = 0;
  }
}
