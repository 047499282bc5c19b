import { Delimited } from "./_delimited.ts";
import type { FrameFormat } from "./format.ts";

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

const LF = 10;
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
  return new Delimited("delimited", delimiter.slice(), {
    allowUnterminated: options.allowUnterminated ?? false,
    stripCr: false,
  });
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
  return new Delimited("lines", new Uint8Array([LF]), {
    allowUnterminated: options.allowUnterminated ?? false,
    stripCr: true,
  });
}
