import { describe } from "../_async/check.ts";
import type { Codec } from "./codec.ts";
import { FrameError } from "./frame_error.ts";
import { invalidMessage } from "./_invalid_message.ts";
import { encodeUtf8, encodeUtf8Shared } from "./_utf8.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Messages that are strings, as UTF-8. Bytes that are no UTF-8 are refused, and
 * so are strings with half a surrogate pair, which UTF-8 can't hold.
 *
 * @example A line of text
 * ```ts
 * import { text } from "@sluice/ipc/framing";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(text.decode(text.encode("größe")), "größe");
 * ```
 */
export const text: Codec<string> = {
  name: "text",
  encode: (value: string): Uint8Array => encodeUtf8(check(value)),
  encodeShared: (value: string): Uint8Array => encodeUtf8Shared(check(value)),
  decode(payload: Uint8Array): string {
    try {
      return decoder.decode(payload);
    } catch {
      throw new FrameError(
        `Cannot decode message: ${payload.length} bytes are not valid UTF-8`,
        { code: "invalid" },
      );
    }
  },
};

function check(value: string): string {
  if (typeof value !== "string") {
    throw invalidMessage(
      "encode",
      new TypeError(`expected a string, received ${describe(value)}`),
    );
  }
  if (!value.isWellFormed()) {
    throw new FrameError(
      "Cannot encode message: the string has a surrogate without its pair",
      { code: "invalid" },
    );
  }
  return value;
}
