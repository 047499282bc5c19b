import type { FrameLimits } from "./format.ts";
import { BaseDecoder } from "./_base_decoder.ts";
import { checkLength } from "./_limits.ts";
import { PromisedFrame } from "./_promised_frame.ts";

/** Reads the header that tells how long the payload is. One per decoder. */
export interface LengthHeader {
  /** The most bytes that a header takes. */
  readonly maxLength: number;
  /** The payload length that the last `read` found. */
  length: number;
  /**
   * Reads a header. Returns its length in bytes, or 0 where `bytes` from `start`
   * to `end` hold only a part of it; throws for what can't become a header.
   */
  read(bytes: Uint8Array, start: number, end: number): number;
  /** `length` in decimal where a number would be imprecise. */
  exact?(): string;
}

/** Decodes every format whose header tells the payload's length. */
export class HeaderDecoder extends BaseDecoder {
  #header: LengthHeader;
  /** The start of a header that spans chunks. */
  #scratch: Uint8Array | undefined;
  #held = 0;
  /** The payload that spans chunks; `#length` is -1 outside of one. */
  #partial = new PromisedFrame();
  #length = -1;

  constructor(header: LengthHeader, limits?: FrameLimits) {
    super(limits);
    this.#header = header;
  }

  get buffered(): number {
    // A header whose payload has not begun still is the start of a frame.
    return this.#held + (this.#length < 0 ? 0 : this.#partial.length);
  }

  override get expected(): number | undefined {
    return this.#length < 0 ? undefined : this.#length;
  }

  protected override decode(
    chunk: Uint8Array,
    emit: (frame: Uint8Array) => void,
  ): void {
    const end = chunk.length;
    let at = 0;
    if (this.#length >= 0) at = this.#resumePayload(chunk, emit);
    else if (this.#held > 0) at = this.#resumeHeader(chunk, emit);
    const header = this.#header;
    const { maxFrameLength, minFrameLength } = this.limits;
    while (at < end) {
      const size = header.read(chunk, at, end);
      if (size === 0) return this.#holdHeader(chunk, at);
      const length = header.length;
      if (length > maxFrameLength || length < minFrameLength) this.#refuse();
      const start = at + size;
      at = start + length;
      if (at > end) {
        this.#startPayload(chunk, start, size);
        return;
      }
      emit(chunk.subarray(start, at));
    }
  }

  #refuse(): void {
    const { length } = this.#header;
    checkLength("decode", length, this.limits, this.#header.exact?.());
  }

  #holdHeader(chunk: Uint8Array, at: number): void {
    this.#scratch ??= new Uint8Array(this.#header.maxLength);
    this.#scratch.set(chunk.subarray(at));
    this.#held = chunk.length - at;
  }

  /** Returns where the next frame starts in `chunk`. */
  #resumeHeader(
    chunk: Uint8Array,
    emit: (frame: Uint8Array) => void,
  ): number {
    const scratch = this.#scratch!;
    const copied = Math.min(scratch.length - this.#held, chunk.length);
    scratch.set(chunk.subarray(0, copied), this.#held);
    const size = this.#header.read(scratch, 0, this.#held + copied);
    if (size === 0) {
      this.#held += copied;
      return chunk.length;
    }
    this.#refuse();
    const start = size - this.#held;
    const end = start + this.#header.length;
    if (end > chunk.length) {
      this.#startPayload(chunk, start, size);
      return chunk.length;
    }
    this.#held = 0;
    emit(chunk.subarray(start, end));
    return end;
  }

  #startPayload(chunk: Uint8Array, start: number, headerLength: number): void {
    this.#length = this.#header.length;
    this.#held = headerLength;
    if (start < chunk.length) {
      this.#partial.append(chunk.subarray(start), this.#length);
    }
  }

  #resumePayload(
    chunk: Uint8Array,
    emit: (frame: Uint8Array) => void,
  ): number {
    const missing = this.#length - this.#partial.length;
    if (chunk.length < missing) {
      this.#partial.append(chunk, this.#length);
      return chunk.length;
    }
    if (this.#partial.length === 0) {
      this.#length = -1;
      this.#held = 0;
      emit(chunk.subarray(0, missing));
      return missing;
    }
    this.#partial.append(chunk.subarray(0, missing), this.#length);
    this.#length = -1;
    this.#held = 0;
    emit(this.#partial.take());
    return missing;
  }

  protected override drop(): void {
    this.#partial.drop();
    this.#held = 0;
    this.#length = -1;
  }

  protected override progress(): string {
    return this.#length < 0
      ? `inside a header, after ${this.#held} bytes`
      : `after ${this.#partial.length} of ${this.#length} bytes`;
  }
}
