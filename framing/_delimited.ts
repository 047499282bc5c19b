// Formats with a delimiter after each payload.

import { BaseDecoder } from "./_base_decoder.ts";
import type { FrameDecoder, FrameFormat, FrameLimits } from "./format.ts";
import { FrameError } from "./frame_error.ts";
import { checkLength } from "./_limits.ts";
import { PartialFrame } from "./_partial_frame.ts";

const CR = 13;

/** What differs between formats with a delimiter. */
interface DelimitedRules {
  /** Whether the last frame needs no delimiter. */
  allowUnterminated: boolean;
  /** Whether a CR at the payload's end is taken off. */
  stripCr: boolean;
}

/** A format with a delimiter after each payload. */
export class Delimited implements FrameFormat {
  readonly name: string;
  readonly trailer: Uint8Array;
  #rules: DelimitedRules;

  constructor(name: string, delimiter: Uint8Array, rules: DelimitedRules) {
    this.name = name;
    this.trailer = delimiter;
    this.#rules = rules;
  }

  createDecoder(limits?: FrameLimits): FrameDecoder {
    return new DelimitedDecoder(this.trailer, this.#rules, limits);
  }

  headerLength(_payloadLength: number): number {
    return 0;
  }

  writeHeader(): void {}

  checkPayload(payload: Uint8Array): void {
    const { trailer } = this;
    let at = indexOf(payload, trailer, 0);
    // The payload's end and the delimiter's start can make an earlier one.
    for (let held = 1; at < 0 && held < trailer.length; held++) {
      if (held > payload.length) break;
      if (endsWithStartOf(payload, trailer, held)) {
        at = payload.length - held;
      }
    }
    if (at >= 0) {
      throw new FrameError(
        `Cannot encode frame: the payload holds the delimiter of ${this.name} at byte ${at}`,
        { code: "malformed" },
      );
    }
    if (this.#rules.stripCr && payload[payload.length - 1] === CR) {
      throw new FrameError(
        "Cannot encode frame: the line ends in CR, which its reader takes off",
        { code: "malformed" },
      );
    }
  }
}

/**
 * Whether payload and delimiter written one after the other hold a delimiter
 * that starts `held` bytes before the payload's end.
 */
function endsWithStartOf(
  payload: Uint8Array,
  delimiter: Uint8Array,
  held: number,
): boolean {
  for (let i = 0; i < delimiter.length; i++) {
    const byte = i < held
      ? payload[payload.length - held + i]
      : delimiter[i - held];
    if (byte !== delimiter[i]) return false;
  }
  return true;
}

function indexOf(
  bytes: Uint8Array,
  pattern: Uint8Array,
  from: number,
): number {
  const first = pattern[0];
  if (pattern.length === 1) return bytes.indexOf(first, from);
  const last = bytes.length - pattern.length;
  for (
    let at = bytes.indexOf(first, from);
    at >= 0 && at <= last;
    at = bytes.indexOf(first, at + 1)
  ) {
    let same = 1;
    while (same < pattern.length && bytes[at + same] === pattern[same]) same++;
    if (same === pattern.length) return at;
  }
  return -1;
}

class DelimitedDecoder extends BaseDecoder {
  #delimiter: Uint8Array;
  #rules: DelimitedRules;
  #partial = new PartialFrame();

  constructor(
    delimiter: Uint8Array,
    rules: DelimitedRules,
    limits?: FrameLimits,
  ) {
    super(limits);
    this.#delimiter = delimiter;
    this.#rules = rules;
  }

  get buffered(): number {
    return this.#partial.length;
  }

  protected override decode(
    chunk: Uint8Array,
    emit: (frame: Uint8Array) => void,
  ): void {
    let at = this.#partial.length > 0 ? this.#resume(chunk, emit) : 0;
    while (at < chunk.length) {
      const found = indexOf(chunk, this.#delimiter, at);
      if (found < 0) return this.#hold(chunk.subarray(at));
      this.#emit(chunk.subarray(at, found), emit);
      at = found + this.#delimiter.length;
    }
  }

  /** Returns where the next frame starts in `chunk`. */
  #resume(chunk: Uint8Array, emit: (frame: Uint8Array) => void): number {
    const partial = this.#partial;
    const held = partial.length;
    const overlap = this.#delimiter.length - 1;
    if (overlap > 0) {
      // The delimiter may begin in what is held and end in the chunk.
      partial.append(chunk.subarray(0, overlap), Infinity);
      const from = Math.max(0, held - overlap);
      const found = indexOf(partial.view(), this.#delimiter, from);
      if (found >= 0 && found < held) {
        partial.truncate(found);
        this.#emit(partial.take(), emit);
        return found + this.#delimiter.length - held;
      }
      partial.truncate(held);
    }
    const found = indexOf(chunk, this.#delimiter, 0);
    if (found < 0) {
      this.#hold(chunk);
      return chunk.length;
    }
    this.#checkHeld(held + found);
    partial.append(chunk.subarray(0, found), Infinity);
    this.#emit(partial.take(), emit);
    return found + this.#delimiter.length;
  }

  #hold(bytes: Uint8Array): void {
    this.#checkHeld(this.#partial.length + bytes.length);
    this.#partial.append(bytes, Infinity);
  }

  /** Refuses what can't become a frame, whatever follows. */
  #checkHeld(length: number): void {
    const notPayload = this.#rules.stripCr ? 1 : this.#delimiter.length - 1;
    if (length - notPayload <= this.limits.maxFrameLength) return;
    throw new FrameError(
      `Cannot decode frame: ${length} bytes without a delimiter exceed ` +
        `maxFrameLength ${this.limits.maxFrameLength}`,
      { code: "too-long" },
    );
  }

  #emit(frame: Uint8Array, emit: (frame: Uint8Array) => void): void {
    if (this.#rules.stripCr && frame[frame.length - 1] === CR) {
      frame = frame.subarray(0, frame.length - 1);
    }
    checkLength("decode", frame.length, this.limits);
    emit(frame);
  }

  protected override drop(): void {
    this.#partial.take();
  }

  protected override finish(emit: (frame: Uint8Array) => void): boolean {
    if (!this.#rules.allowUnterminated) return false;
    this.#emit(this.#partial.take(), emit);
    return true;
  }

  protected override progress(): string {
    return `${this.buffered} bytes after the last delimiter`;
  }
}
