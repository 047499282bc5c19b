import type { FrameLimits } from "./format.ts";
import { BaseDecoder } from "./_base_decoder.ts";
import { checkLength } from "./_limits.ts";
import { transferred } from "./_transferred.ts";
import { PromisedFrame } from "./_promised_frame.ts";
import type { EmitRange } from "./_range_codec.ts";

/** Reads the header that tells how long the payload is. One per decoder. */
export interface LengthHeader {
  /** The most bytes that a header takes. */
  readonly maxLength: number;
  /** Whether each header takes that many. */
  readonly isFixed?: boolean;
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
  /** Bytes of a partial frame that `decodeInPlace` left with its caller. */
  #inPlace = 0;

  constructor(header: LengthHeader, limits?: FrameLimits) {
    super(limits);
    this.#header = header;
  }

  get buffered(): number {
    if (this.#inPlace > 0) return this.#inPlace;
    // A header whose payload has not begun still is the start of a frame.
    return this.#held + (this.#length < 0 ? 0 : this.#partial.length);
  }

  override get expected(): number | undefined {
    return this.#length < 0 ? undefined : this.#length;
  }

  /** The bytes that the partial frame left in place will have; 0 if unknown. */
  get needed(): number {
    return this.#length < 0 ? 0 : this.#held + this.#length;
  }

  /**
   * Like `push`, for a caller that keeps what came: the bytes of a frame that is
   * not whole stay where they are. Returns the index where that frame begins;
   * the next call starts there, in this buffer or a copy.
   */
  decodeInPlace(
    bytes: Uint8Array,
    start: number,
    end: number,
    emit: EmitRange,
  ): number {
    if (end - start < this.needed) {
      this.#inPlace = end - start;
      return start;
    }
    this.#length = -1;
    this.#held = this.#inPlace = 0;
    try {
      const at = this.#scan(bytes, start, end, emit);
      this.#inPlace = end - at;
      return at;
    } catch (error) {
      throw this.fail(error);
    }
  }

  protected override decode(
    chunk: Uint8Array,
    emit: (frame: Uint8Array) => void,
  ): void {
    let at = 0;
    if (this.#length >= 0) at = this.#resumePayload(chunk, emit);
    else if (this.#held > 0) at = this.#resumeHeader(chunk, emit);
    at = this.#scan(
      chunk,
      at,
      chunk.length,
      (bytes, start, end) => emit(bytes.subarray(start, end)),
    );
    if (at >= chunk.length) return;
    if (this.#length < 0) this.#holdHeader(chunk, at);
    else this.#startPayload(chunk, at + this.#held);
  }

  /** Emits the whole frames; returns where the one that is not whole begins. */
  #scan(
    bytes: Uint8Array,
    at: number,
    end: number,
    emit: EmitRange,
  ): number {
    const header = this.#header;
    const { maxFrameLength, minFrameLength } = this.limits;
    while (at < end) {
      const size = header.read(bytes, at, end);
      if (size === 0) return at;
      const length = header.length;
      if (length > maxFrameLength || length < minFrameLength) this.#refuse();
      const start = at + size;
      if (start + length > end) {
        this.#length = length;
        this.#held = size;
        return at;
      }
      at = start + length;
      emit(bytes, start, at);
      if (bytes.length < end) throw transferred();
    }
    return at;
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
      this.#length = this.#header.length;
      this.#held = size;
      this.#startPayload(chunk, start);
      return chunk.length;
    }
    this.#held = 0;
    emit(chunk.subarray(start, end));
    return end;
  }

  #startPayload(chunk: Uint8Array, start: number): void {
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
    this.#held = this.#inPlace = 0;
    this.#length = -1;
  }

  protected override progress(): string {
    const { buffered } = this;
    if (this.#length >= 0) {
      return `after ${buffered - this.#held} of ${this.#length} bytes`;
    }
    const { isFixed, maxLength } = this.#header;
    const came = isFixed
      ? `${buffered} of its ${maxLength} bytes`
      : `${buffered} ${buffered === 1 ? "byte" : "bytes"}`;
    return `inside a header, after ${came}`;
  }
}
