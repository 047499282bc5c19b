import type { FrameDecoder, FrameFormat, FrameLimits } from "./format.ts";
import { BaseDecoder } from "./_base_decoder.ts";
import { FrameError } from "./frame_error.ts";
import { checkLength } from "./_limits.ts";
import { PartialFrame } from "./_partial_frame.ts";

/** Options for {@linkcode delimited} and {@linkcode lines}. */
export interface DelimitedOptions {
  /**
   * Whether the bytes after the last delimiter are a frame too when the stream
   * ends. By default they are a frame that was cut off: an error.
   *
   * @default {false}
   */
  allowUnterminated?: boolean;
}

const CR = 13, LF = 10;
/** A search may compare this many bytes at each position. */
const MAX_DELIMITER = 64;

/**
 * Frames with a delimiter after each.
 *
 * ```text
 * +--------------+-----------+
 * | payload      | delimiter |
 * +--------------+-----------+
 * ```
 *
 * A payload can't hold the delimiter: the encoder refuses it.
 *
 * @example NUL-terminated records
 * ```ts
 * import { delimited, encodeFrame } from "@sluice/ipc/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const format = delimited(new Uint8Array([0]));
 * assertEquals(
 *   encodeFrame(format, new Uint8Array([1, 2])),
 *   new Uint8Array([1, 2, 0]),
 * );
 * ```
 *
 * @param delimiter The bytes after each payload, 1 to 64. They are copied.
 * @param options What the end of the stream means.
 * @returns The format.
 * @throws {RangeError} If the delimiter is empty or longer than 64 bytes.
 */
export function delimited(
  delimiter: Uint8Array,
  options: DelimitedOptions = {},
): FrameFormat {
  if (!(delimiter instanceof Uint8Array)) {
    throw new TypeError(
      `Invalid delimiter: expected a Uint8Array, received ${typeof delimiter}`,
    );
  }
  if (delimiter.length === 0 || delimiter.length > MAX_DELIMITER) {
    throw new RangeError(
      `Invalid delimiter: expected 1 to ${MAX_DELIMITER} bytes, ` +
        `received ${delimiter.length}`,
    );
  }
  return new Delimited("delimited", delimiter.slice(), false, options);
}

/**
 * Lines: each ends in LF, and a CR before it is taken off. The bytes of a line
 * are left as they are; the codec decides whether they are UTF-8.
 *
 * ```text
 * +--------------+----+
 * | payload      | LF |
 * +--------------+----+
 * ```
 *
 * Newline-delimited JSON is `lines()` with the `json` codec. A payload that
 * holds LF, or ends in CR, would come back as something else: the encoder
 * refuses it.
 *
 * @example A file's lines, the last one with or without LF
 * ```ts
 * import { FrameDecoderStream, lines } from "@sluice/ipc/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const text = new TextEncoder().encode("one\r\ntwo\nthree");
 * const frames = ReadableStream.from([text]).pipeThrough(
 *   new FrameDecoderStream(lines({ allowUnterminated: true })),
 * );
 * const decoder = new TextDecoder();
 * assertEquals(
 *   (await Array.fromAsync(frames)).map((line) => decoder.decode(line)),
 *   ["one", "two", "three"],
 * );
 * ```
 *
 * @param options What the end of the stream means.
 * @returns The format.
 */
export function lines(options: DelimitedOptions = {}): FrameFormat {
  return new Delimited("lines", new Uint8Array([LF]), true, options);
}

class Delimited implements FrameFormat {
  readonly name: string;
  readonly trailer: Uint8Array;
  #stripCr: boolean;
  #allowUnterminated: boolean;

  constructor(
    name: string,
    delimiter: Uint8Array,
    stripCr: boolean,
    { allowUnterminated = false }: DelimitedOptions,
  ) {
    this.name = name;
    this.trailer = delimiter;
    this.#stripCr = stripCr;
    this.#allowUnterminated = allowUnterminated;
  }

  createDecoder(limits?: FrameLimits): FrameDecoder {
    return new DelimitedDecoder(
      this.trailer,
      this.#stripCr,
      this.#allowUnterminated,
      limits,
    );
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
    if (this.#stripCr && payload[payload.length - 1] === CR) {
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
  #stripCr: boolean;
  #allowUnterminated: boolean;
  #partial = new PartialFrame();

  constructor(
    delimiter: Uint8Array,
    stripCr: boolean,
    allowUnterminated: boolean,
    limits?: FrameLimits,
  ) {
    super(limits);
    this.#delimiter = delimiter;
    this.#stripCr = stripCr;
    this.#allowUnterminated = allowUnterminated;
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
    const notPayload = this.#stripCr ? 1 : this.#delimiter.length - 1;
    if (length - notPayload <= this.limits.maxFrameLength) return;
    throw new FrameError(
      `Cannot decode frame: ${length} bytes without a delimiter exceed ` +
        `maxFrameLength ${this.limits.maxFrameLength}`,
      { code: "too-long" },
    );
  }

  #emit(frame: Uint8Array, emit: (frame: Uint8Array) => void): void {
    if (this.#stripCr && frame[frame.length - 1] === CR) {
      frame = frame.subarray(0, frame.length - 1);
    }
    checkLength("decode", frame.length, this.limits);
    emit(frame);
  }

  protected override drop(): void {
    this.#partial.take();
  }

  protected override finish(emit: (frame: Uint8Array) => void): boolean {
    if (!this.#allowUnterminated) return false;
    this.#emit(this.#partial.take(), emit);
    return true;
  }

  protected override progress(): string {
    return `${this.buffered} bytes after the last delimiter`;
  }
}
