// Messages to payloads.

import type { Codec } from "../framing/codec.ts";
import { FrameError } from "../framing/frame_error.ts";
import { invalidMessage } from "../framing/_invalid_message.ts";

/**
 * The payload of a message, in memory that may serve the next one. Throws a
 * `FrameError` where there is none, or it is too long.
 */
export function encode(
  codec: Codec<unknown>,
  message: unknown,
  maxFrameLength: number,
): Uint8Array {
  let payload: Uint8Array;
  try {
    payload = codec.encodeShared?.(message) ?? codec.encode(message);
  } catch (error) {
    throw invalidMessage("encode", error);
  }
  if (payload.length <= maxFrameLength) return payload;
  throw new FrameError(
    `Cannot encode frame: length ${payload.length} exceeds ` +
      `maxFrameLength ${maxFrameLength}`,
    { code: "too-long" },
  );
}
