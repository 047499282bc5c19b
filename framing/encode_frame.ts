import type { FrameFormat, FrameLimits } from "./format.ts";
import { checkLength, resolveLimits } from "./_limits.ts";

/**
 * Makes one frame. {@linkcode FrameEncoderStream} and {@linkcode channel} put
 * many into one buffer instead.
 *
 * @example A line
 * ```ts
 * import { encodeFrame, lines } from "@sluice/ipc/framing";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(encodeFrame(lines(), new Uint8Array([65])), new Uint8Array([65, 10]));
 * ```
 *
 * @param format How the payload is framed.
 * @param payload The payload, which is copied.
 * @param limits The bounds of the payload.
 * @returns The bytes of the frame.
 * @throws {FrameError} If the payload is outside the limits, or the format can't
 * hold it.
 */
export function encodeFrame(
  format: FrameFormat,
  payload: Uint8Array,
  limits?: FrameLimits,
): Uint8Array {
  checkLength("encode", payload.length, resolveLimits(limits));
  format.checkPayload?.(payload);
  const header = format.headerLength(payload.length);
  const { trailer } = format;
  const frame = new Uint8Array(header + payload.length + trailer.length);
  format.writeHeader(frame, 0, payload.length);
  frame.set(payload, header);
  frame.set(trailer, header + payload.length);
  return frame;
}
