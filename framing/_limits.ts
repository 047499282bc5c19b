import { checkInteger } from "../_async/check.ts";
import type { FrameLimits } from "./format.ts";
import { FrameError } from "./frame_error.ts";

export const MAX_FRAME_LENGTH = 16 * 1024 * 1024;

/** The limits with their defaults, checked. */
export function resolveLimits(
  { maxFrameLength = MAX_FRAME_LENGTH, minFrameLength = 0 }: FrameLimits = {},
): Required<FrameLimits> {
  checkInteger("maxFrameLength", maxFrameLength, 0);
  checkInteger("minFrameLength", minFrameLength, 0, maxFrameLength);
  return { maxFrameLength, minFrameLength };
}

/** Throws for a payload length outside the limits. `shown` is exact above 2^53. */
export function checkLength(
  doing: "decode" | "encode",
  length: number,
  limits: Required<FrameLimits>,
  shown: string = String(length),
): void {
  if (length > limits.maxFrameLength) {
    throw new FrameError(
      `Cannot ${doing} frame: length ${shown} exceeds maxFrameLength ${limits.maxFrameLength}` +
        (doing === "decode" ? asText(length) : ""),
      { code: "too-long" },
    );
  }
  if (length < limits.minFrameLength) {
    throw new FrameError(
      `Cannot ${doing} frame: length ${shown} is below minFrameLength ${limits.minFrameLength}`,
      { code: "too-short" },
    );
  }
}

/** A hint where the four bytes of a length are text: of HTTP, or of JSON. */
function asText(length: number): string {
  if (length < 2 ** 24 || length >= 2 ** 32) return "";
  const bytes = [24, 16, 8, 0].map((shift) => (length >>> shift) & 0xff);
  const text = String.fromCharCode(...bytes);
  // The magic of a rendezvous of shared memory: see docs/shm-layout.md.
  if (text === "SLCN") return ", the peer listens on shm:, connect to that";
  const isText = bytes.every((byte) =>
    byte >= 0x20 && byte < 0x7f || byte === 10 || byte === 13
  );
  return isText
    ? `, its bytes are the text ${
      JSON.stringify(text)
    }: does the peer send frames at all?`
    : "";
}

/** The error for bytes that don't follow the format. */
export function malformed(what: string): FrameError {
  return new FrameError(`Cannot decode frame: ${what}`, { code: "malformed" });
}
