import { decode, encode, type ValueType } from "@std/msgpack";
import type { Codec } from "./codec.ts";
import { invalidMessage } from "./_invalid_message.ts";
import { MessagePackScanner } from "./_message_pack_scanner.ts";

/**
 * MessagePack messages by `@std/msgpack`: slower than {@linkcode msgpack}, but
 * the standard library's own mapping. 64-bit integers come back as `bigint`,
 * and there are no extension types.
 *
 * @example A bigint stays one
 * ```ts
 * import { stdMsgpack } from "@sluice/ipc/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const bytes = stdMsgpack.encode([2n ** 60n]);
 * assertEquals(stdMsgpack.decode(bytes), [2n ** 60n]);
 * ```
 */
export const stdMsgpack: Codec<unknown> = {
  name: "stdMsgpack",
  encode(value: unknown): Uint8Array {
    try {
      return encode(value as ValueType);
    } catch (cause) {
      throw invalidMessage("encode", cause);
    }
  },
  decode(payload: Uint8Array): unknown {
    try {
      const scanner = new MessagePackScanner({
        maxLength: payload.length,
        bound: "its length",
        maxDepth: 100,
      });
      if (scanner.scan(payload, 0, payload.length) !== payload.length) {
        throw new RangeError("its bytes are not exactly one value");
      }
      const value = decode(payload as Uint8Array<ArrayBuffer>);
      checkPrototypes(value);
      return value;
    } catch (cause) {
      throw invalidMessage("decode", cause);
    }
  },
};

/** Refuses objects whose prototype a `__proto__` key has set. */
function checkPrototypes(root: unknown): void {
  const open: unknown[] = [root];
  while (open.length > 0) {
    const value = open.pop();
    if (typeof value !== "object" || value === null) continue;
    if (value instanceof Uint8Array) continue;
    if (Array.isArray(value)) {
      for (const item of value) open.push(item);
      continue;
    }
    if (Object.getPrototypeOf(value) !== Object.prototype) {
      throw new TypeError("the key __proto__ is not allowed");
    }
    for (const item of Object.values(value)) open.push(item);
  }
}
