/**
 * A stand-in for `@std/msgpack` over `@msgpack/msgpack`.
 * @module
 */
import { decode as npmDecode, encode as npmEncode } from "@msgpack/msgpack";

/** What MessagePack can hold. */
export type ValueType =
  | number
  | bigint
  | string
  | boolean
  | null
  | Uint8Array<ArrayBuffer>
  | readonly ValueType[]
  | ValueMap;

/** A map of values by string. */
export interface ValueMap {
  [index: string | number]: ValueType;
}

/** Encodes a value. */
export function encode(object: ValueType): Uint8Array<ArrayBuffer> {
  return npmEncode(object, { useBigInt64: true });
}

/** Decodes one value. */
export function decode(data: Uint8Array): ValueType {
  return npmDecode(data, { useBigInt64: true }) as ValueType;
}
