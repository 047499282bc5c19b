import { checkInteger } from "../_async/check.ts";
import type { FrameDecoder, FrameFormat, FrameLimits } from "./format.ts";
import { HeaderDecoder, type LengthHeader } from "./_header_decoder.ts";
import { malformed } from "./_limits.ts";

/** Options for {@linkcode contentLength}. */
export interface ContentLengthOptions {
  /**
   * The most bytes that all header lines of a frame take together.
   *
   * @default {4096}
   */
  maxHeaderLength?: number;
}

const CR = 13, LF = 10, COLON = 58, ZERO = 48, NINE = 57;
const EMPTY = new Uint8Array(0);
const NAME = bytesOf("content-length");
const PREFIX = bytesOf("Content-Length: ");
/** More digits can't be a safe integer. */
const MAX_DIGITS = 15;

/**
 * Frames with HTTP-like header lines in front, as the base protocol of the
 * Language Server Protocol and the Debug Adapter Protocol have them.
 *
 * ```text
 * +-----------------------------+--------------+
 * | Content-Length: 52 CR LF    |              |
 * | (other lines)      CR LF    | payload      |
 * |                    CR LF    |              |
 * +-----------------------------+--------------+
 * ```
 *
 * Names compare without case and other lines are ignored. A length that is
 * missing, repeated or anything but decimal digits is refused.
 *
 * @see {@link https://microsoft.github.io/language-server-protocol/specifications/base/0.9/specification/ | Base protocol}
 *
 * @example A frame's bytes
 * ```ts
 * import { contentLength, encodeFrame } from "@sluice/ipc/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const frame = encodeFrame(contentLength(), new TextEncoder().encode("{}"));
 * assertEquals(
 *   new TextDecoder().decode(frame),
 *   "Content-Length: 2\r\n\r\n{}",
 * );
 * ```
 *
 * @param options The bound of the header lines.
 * @returns The format.
 * @throws {RangeError} If `maxHeaderLength` is no integer of 32 or more.
 */
export function contentLength(
  options: ContentLengthOptions = {},
): FrameFormat {
  const { maxHeaderLength = 4096 } = options;
  checkInteger("maxHeaderLength", maxHeaderLength, 32);
  return {
    name: "contentLength",
    trailer: EMPTY,
    createDecoder: (limits?: FrameLimits): FrameDecoder =>
      new HeaderDecoder(new HeaderLines(maxHeaderLength), limits),
    headerLength: (payloadLength: number): number =>
      PREFIX.length + digitsOf(payloadLength) + 4,
    writeHeader,
  };
}

function digitsOf(value: number): number {
  let digits = 1;
  for (let rest = value; rest >= 10; rest /= 10) digits++;
  return digits;
}

function writeHeader(into: Uint8Array, offset: number, length: number): void {
  into.set(PREFIX, offset);
  const end = offset + PREFIX.length + digitsOf(length);
  for (let at = end - 1; at >= offset + PREFIX.length; at--) {
    into[at] = ZERO + length % 10;
    length = Math.floor(length / 10);
  }
  into[end] = into[end + 2] = CR;
  into[end + 1] = into[end + 3] = LF;
}

class HeaderLines implements LengthHeader {
  readonly maxLength: number;
  length = -1;
  #digits = "";

  constructor(maxLength: number) {
    this.maxLength = maxLength;
  }

  read(bytes: Uint8Array, start: number, end: number): number {
    const stop = Math.min(end, start + this.maxLength);
    this.length = -1;
    for (let line = start; line < stop;) {
      const feed = indexOf(bytes, LF, line, stop);
      if (feed < 0) break;
      if (feed === line || bytes[feed - 1] !== CR) {
        throw malformed("a header line ends in LF without CR");
      }
      if (feed - 1 === line) {
        if (this.length < 0) throw malformed("it has no Content-Length");
        return feed + 1 - start;
      }
      this.#readLine(bytes, line, feed - 1);
      line = feed + 1;
    }
    if (end - start >= this.maxLength) {
      throw malformed(
        `its header exceeds maxHeaderLength ${this.maxLength}`,
      );
    }
    return 0;
  }

  #readLine(bytes: Uint8Array, start: number, end: number): void {
    const colon = indexOf(bytes, COLON, start, end);
    if (colon <= start) {
      throw malformed(
        `header line ${shown(bytes, start, end)} is no "Name: value"`,
      );
    }
    if (!isContentLength(bytes, start, colon)) return;
    if (this.length >= 0) throw malformed("it has two Content-Lengths");
    let from = colon + 1, to = end;
    while (from < to && isBlank(bytes[from])) from++;
    while (to > from && isBlank(bytes[to - 1])) to--;
    let value = 0;
    for (let at = from; at < to; at++) {
      const byte = bytes[at];
      if (byte < ZERO || byte > NINE) from = to; // refused below
      value = value * 10 + byte - ZERO;
    }
    if (from === to) {
      throw malformed(
        `Content-Length ${shown(bytes, colon + 1, end)} is no decimal number`,
      );
    }
    this.#digits = to - from > MAX_DIGITS ? text(bytes, from, to) : "";
    this.length = value;
  }

  exact(): string {
    return this.#digits.length > 40
      ? `${this.#digits.slice(0, 40)}…`
      : this.#digits || String(this.length);
  }
}

function indexOf(
  bytes: Uint8Array,
  byte: number,
  start: number,
  end: number,
): number {
  for (let at = start; at < end; at++) if (bytes[at] === byte) return at;
  return -1;
}

function isContentLength(
  bytes: Uint8Array,
  start: number,
  end: number,
): boolean {
  if (end - start !== NAME.length) return false;
  for (let i = 0; i < NAME.length; i++) {
    const byte = bytes[start + i];
    const lower = byte >= 65 && byte <= 90 ? byte + 32 : byte;
    if (lower !== NAME[i]) return false;
  }
  return true;
}

function isBlank(byte: number): boolean {
  return byte === 32 || byte === 9;
}

function text(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end));
}

/** Header bytes as an error message shows them. */
function shown(bytes: Uint8Array, start: number, end: number): string {
  return JSON.stringify(text(bytes, start, Math.min(end, start + 40)));
}

function bytesOf(ascii: string): Uint8Array {
  return Uint8Array.from(ascii, (char) => char.charCodeAt(0));
}
