import { describe } from "../_async/check.ts";
import type { Codec } from "./codec.ts";
import { invalidMessage } from "./_invalid_message.ts";
import { encodeUtf8, encodeUtf8Shared } from "./_utf8.ts";

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Messages as JSON in UTF-8. A key named `__proto__` becomes an own property,
 * which harms nothing until it is merged by assignment.
 *
 * JSON has no bytes: use {@linkcode msgpack} for messages that hold some.
 *
 * @example With newline-delimited JSON
 * ```ts
 * import { encodeFrame, json, lines } from "@sluice/ipc/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const line = encodeFrame(lines(), json.encode({ id: 1 }));
 * assertEquals(new TextDecoder().decode(line), '{"id":1}\n');
 * ```
 */
export const json: Codec<unknown> = {
  name: "json",
  encode: (value: unknown): Uint8Array => encodeUtf8(stringify(value)),
  encodeShared: (value: unknown): Uint8Array =>
    encodeUtf8Shared(stringify(value)),
  decode(payload: Uint8Array): unknown {
    try {
      return JSON.parse(decoder.decode(payload));
    } catch (cause) {
      throw invalidMessage("decode", cause);
    }
  },
};

function stringify(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) { // a cycle, a bigint, or a throwing toJSON
    throw invalidMessage("encode", cause);
  }
  if (text === undefined) {
    throw invalidMessage(
      "encode",
      new TypeError(`JSON has no form for ${describe(value)}`),
    );
  }
  return text;
}
