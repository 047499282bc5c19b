import { checkInteger } from "../_async/check.ts";
import type { Codec } from "./codec.ts";
import { MsgpackCodec } from "./_msgpack_codec.ts";

/** Options for {@linkcode createMsgpack}. */
export interface MsgpackOptions {
  /**
   * The most arrays, maps and extension values within each other, either way.
   *
   * @default {100}
   */
  maxDepth?: number;
  /**
   * Whether 64-bit integers beyond 2^53, such as ids and nanoseconds of a Rust or
   * Go program, come as `bigint` in the place of the nearest number. Then a
   * `bigint` is sent as an integer too, if 64 bits hold it, and comes back as a
   * number where that is exact. Smaller integers are numbers either way.
   *
   * @default {false}
   */
  exactIntegers?: boolean;
}

/**
 * MessagePack messages: the default codec of {@linkcode channel}, on the
 * package `@msgpack/msgpack`. Small messages of common values are read and
 * written by code of its own, to the same values and bytes.
 *
 * | JavaScript | MessagePack | comes back as |
 * | --- | --- | --- |
 * | `null`, `undefined` | nil | `null` |
 * | property with the value `undefined` | left out | nothing |
 * | `boolean`, `string` | bool, str | the same |
 * | `number` | the shortest int, or float 64 | the same |
 * | `Uint8Array`, other views | bin | `Uint8Array`, a view into the frame |
 * | array, object | array, map | the same |
 * | `Date` | extension -1 (timestamp) | `Date` |
 * | `Map` | extension 77: array of keys and values in turn | `Map` |
 * | `Set` | extension 83: array | `Set` |
 * | `bigint` | extension 73: big-endian two's complement, to 8 KiB | `bigint` |
 * | `MsgpackExtension` | its own type | `MsgpackExtension` |
 *
 * A peer's 64-bit integer beyond 2^53 becomes the nearest number, but with
 * `exactIntegers` of {@linkcode createMsgpack} a `bigint`. Invalid UTF-8
 * in a str becomes U+FFFD. A map key named `__proto__` is refused, and so are
 * nesting above 100 and arrays longer than their frame: hostile bytes cost no
 * more than their length.
 *
 * A function, a symbol, an invalid `Date` or an `ArrayBuffer` without a view
 * can't be encoded.
 *
 * @see {@link https://github.com/msgpack/msgpack/blob/master/spec.md | MessagePack specification}
 *
 * @example More than JSON can hold
 * ```ts
 * import { msgpack } from "@sluice/ipc/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const message = {
 *   at: new Date(0),
 *   seen: new Set([1, 2]),
 *   total: 2n ** 80n,
 *   body: new Uint8Array([1, 2, 3]),
 * };
 * assertEquals(msgpack.decode(msgpack.encode(message)), message);
 * ```
 */
export const msgpack: Codec<unknown> = createMsgpack();

/**
 * Makes a {@linkcode msgpack} codec with bounds of its own, or with exact integers.
 *
 * @example A peer with 64-bit integers
 * ```ts
 * import { createMsgpack } from "@sluice/ipc/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const exact = createMsgpack({ exactIntegers: true });
 * const bytes = exact.encode([2n ** 64n - 1n, 7n]);
 * assertEquals(bytes.length, 11); // a uint 64, and a 7
 * assertEquals(exact.decode(bytes), [2n ** 64n - 1n, 7]);
 * ```
 *
 * @example Deeper messages
 * ```ts
 * import { createMsgpack, FrameError } from "@sluice/ipc/framing";
 * import { assertThrows } from "@std/assert";
 *
 * const flat = createMsgpack({ maxDepth: 2 });
 * flat.encode([[1]]);
 * assertThrows(() => flat.decode(new Uint8Array([0x91, 0x91, 0x91, 1])), FrameError);
 * ```
 *
 * @param options The bound of the nesting, and what 64-bit integers become.
 * @returns The codec.
 * @throws {RangeError} If `maxDepth` is no integer from 1 to 1024.
 */
export function createMsgpack(options: MsgpackOptions = {}): Codec<unknown> {
  const { maxDepth = 100, exactIntegers = false } = options;
  checkInteger("maxDepth", maxDepth, 1, 1024);
  return new MsgpackCodec(maxDepth, exactIntegers);
}
