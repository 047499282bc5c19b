import { checkOneOf } from "../_async/check.ts";
import type { FrameDecoder, FrameFormat, FrameLimits } from "./format.ts";
import { FrameError } from "./frame_error.ts";
import { HeaderDecoder, type LengthHeader } from "./_header_decoder.ts";
import { malformed } from "./_limits.ts";

/** Options for {@linkcode lengthPrefixed}. */
export interface LengthPrefixedOptions {
  /**
   * The size of the unsigned length in bytes.
   *
   * @default {4}
   */
  bytes?: 1 | 2 | 4 | 8;
  /**
   * The byte order of the length.
   *
   * @default {"big"}
   */
  endian?: "big" | "little";
  /**
   * Whether the length counts its own bytes too.
   *
   * @default {false}
   */
  includesHeader?: boolean;
}

const EMPTY = new Uint8Array(0);
const HIGH = 2 ** 32;

/**
 * Frames with their length in front: the default format.
 *
 * ```text
 *  0        4              4 + length
 * +--------+--------------+
 * | length | payload      |   bytes: 4, endian: "big"
 * +--------+--------------+
 * ```
 *
 * The default is the same on the wire as Erlang's `{packet, 4}`, tokio-util's
 * `LengthDelimitedCodec` and Netty's `LengthFieldPrepender(4)`. Chrome's native
 * messaging is `{ endian: "little" }` on the common platforms.
 *
 * @example A frame's bytes
 * ```ts
 * import { encodeFrame, lengthPrefixed } from "@sluice/ipc/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const payload = new Uint8Array([1, 2, 3]);
 * assertEquals(
 *   encodeFrame(lengthPrefixed(), payload),
 *   new Uint8Array([0, 0, 0, 3, 1, 2, 3]),
 * );
 * assertEquals(
 *   encodeFrame(lengthPrefixed({ bytes: 2, includesHeader: true }), payload),
 *   new Uint8Array([0, 5, 1, 2, 3]),
 * );
 * ```
 *
 * @param options The length's size, byte order and meaning.
 * @returns The format.
 * @throws {TypeError} If `bytes` or `endian` is none of the listed values.
 */
export function lengthPrefixed(
  options: LengthPrefixedOptions = {},
): FrameFormat {
  const { bytes = 4, endian = "big", includesHeader = false } = options;
  checkOneOf("bytes", bytes, [1, 2, 4, 8]);
  checkOneOf("endian", endian, ["big", "little"]);
  return new LengthPrefixed(bytes, endian === "little", includesHeader);
}

class LengthPrefixed implements FrameFormat {
  readonly name: string;
  readonly trailer: Uint8Array = EMPTY;
  #bytes: number;
  #little: boolean;
  /** What the prefix counts besides the payload. */
  #extra: number;
  #max: number;

  constructor(bytes: number, little: boolean, includesHeader: boolean) {
    this.name = `lengthPrefixed(${bytes})`;
    this.#bytes = bytes;
    this.#little = little;
    this.#extra = includesHeader ? bytes : 0;
    this.#max = Math.min(2 ** (8 * bytes) - 1, Number.MAX_SAFE_INTEGER) -
      this.#extra;
  }

  createDecoder(limits?: FrameLimits): FrameDecoder {
    const header = this.#bytes === 4 && !this.#little && this.#extra === 0
      ? new Uint32Header()
      : new UintHeader(this.#bytes, this.#little, this.#extra);
    return new HeaderDecoder(header, limits);
  }

  headerLength(payloadLength: number): number {
    if (payloadLength > this.#max) {
      throw new FrameError(
        `Cannot encode frame: length ${payloadLength} exceeds the ${this.#max} ` +
          `that ${this.name} can hold`,
        { code: "too-long" },
      );
    }
    return this.#bytes;
  }

  writeHeader(into: Uint8Array, offset: number, payloadLength: number): void {
    const bytes = this.#bytes;
    let value = payloadLength + this.#extra;
    if (bytes === 4 && !this.#little) {
      into[offset] = value >>> 24;
      into[offset + 1] = value >>> 16;
      into[offset + 2] = value >>> 8;
      into[offset + 3] = value;
      return;
    }
    for (let i = 0; i < bytes; i++) {
      into[offset + (this.#little ? i : bytes - 1 - i)] = value;
      value = Math.floor(value / 256);
    }
  }
}

/** The default, in straight code: it is read for each message. */
class Uint32Header implements LengthHeader {
  readonly maxLength = 4;
  readonly isFixed = true;
  length = 0;

  read(bytes: Uint8Array, start: number, end: number): number {
    if (end - start < 4) return 0;
    this.length = ((bytes[start] << 24) | (bytes[start + 1] << 16) |
      (bytes[start + 2] << 8) | bytes[start + 3]) >>> 0;
    return 4;
  }
}

class UintHeader implements LengthHeader {
  readonly maxLength: number;
  readonly isFixed = true;
  length = 0;
  #little: boolean;
  #extra: number;
  /** The two 32-bit halves, so that nothing is rounded in a message. */
  #high = 0;
  #low = 0;

  constructor(bytes: number, little: boolean, extra: number) {
    this.maxLength = bytes;
    this.#little = little;
    this.#extra = extra;
  }

  read(bytes: Uint8Array, start: number, end: number): number {
    const size = this.maxLength;
    if (end - start < size) return 0;
    let high = 0, low = 0;
    for (let i = 0; i < size; i++) {
      const byte = bytes[this.#little ? start + size - 1 - i : start + i];
      if (i < size - 4) high = high * 256 + byte;
      else low = low * 256 + byte;
    }
    this.#high = high;
    this.#low = low;
    const value = high * HIGH + low;
    if (value < this.#extra) {
      throw malformed(
        `length ${value} is less than the ${size} bytes of its own header`,
      );
    }
    this.length = value - this.#extra;
    return size;
  }

  exact(): string {
    const value = (BigInt(this.#high) << 32n) | BigInt(this.#low);
    return String(value - BigInt(this.#extra));
  }
}
