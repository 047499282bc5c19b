/**
 * What went wrong with a frame or a message:
 *
 * - `"too-long"`: a length exceeds `maxFrameLength`, or what the format's
 *   prefix can hold.
 * - `"too-short"`: a length is below `minFrameLength`.
 * - `"truncated"`: the stream ended inside a frame.
 * - `"malformed"`: the bytes don't follow the format.
 * - `"timeout"`: a frame stayed partial for longer than `partialFrameTimeout`.
 * - `"invalid"`: the frame is whole, but the codec or the validator refused its
 *   message. Only this code leaves a channel usable.
 */
export type FrameErrorCode =
  | "too-long"
  | "too-short"
  | "truncated"
  | "malformed"
  | "timeout"
  | "invalid";

/**
 * Thrown for bytes that are no frame, frames that are no message, and messages
 * that can't be framed.
 *
 * @example Telling the reasons apart
 * ```ts
 * import { FrameError, lengthPrefixed } from "@sluice/ipc/framing";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const decoder = lengthPrefixed().createDecoder({ maxFrameLength: 1024 });
 * const error = assertThrows(
 *   () => decoder.push(new Uint8Array([255, 255, 255, 255]), () => {}),
 *   FrameError,
 *   "length 4294967295 exceeds maxFrameLength 1024",
 * );
 * assertEquals(error.code, "too-long");
 * ```
 */
export class FrameError extends Error {
  /** The name of the class. */
  override readonly name = "FrameError";
  /** What went wrong. */
  readonly code: FrameErrorCode;

  /**
   * Creates the error.
   *
   * @param message What failed first, then why.
   * @param options The {@linkcode FrameErrorCode} and the cause.
   */
  constructor(
    message: string,
    options: ErrorOptions & { code: FrameErrorCode },
  ) {
    super(message, options);
    this.code = options.code;
  }
}
