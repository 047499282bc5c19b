// The extension types of the msgpack codec.

import {
  decodeTimestampExtension,
  encodeTimestampExtension,
  ExtData,
  type ExtensionCodecType,
} from "@msgpack/msgpack";
import { checkInteger } from "../_async/check.ts";
import { MsgpackExtension } from "./msgpack_extension.ts";

const TIMESTAMP = -1;
export const BIGINT = 0x49; // "I"
const MAP = 0x4d; // "M"
const SET = 0x53; // "S"
/** The most bytes of a bigint. */
const MAX_BIGINT = 8 * 1024;

export class Extensions implements ExtensionCodecType<undefined> {
  /** Extension values within each other now. */
  level = 0;
  #maxLevel: number;
  #encode: (value: unknown) => Uint8Array;
  #decode: (payload: Uint8Array) => unknown;

  constructor(
    maxLevel: number,
    encode: (value: unknown) => Uint8Array,
    decode: (payload: Uint8Array) => unknown,
  ) {
    this.#maxLevel = maxLevel;
    this.#encode = encode;
    this.#decode = decode;
  }

  tryToEncode(value: unknown): ExtData | null {
    if (typeof value === "bigint") {
      return new ExtData(BIGINT, encodeBigint(value));
    }
    if (typeof value !== "object" || value === null) return null;
    const prototype = Object.getPrototypeOf(value);
    if (
      prototype === Object.prototype || prototype === Array.prototype ||
      prototype === null || ArrayBuffer.isView(value)
    ) return null;
    if (value instanceof Map) {
      return new ExtData(MAP, this.#nest([...value].flat(1)));
    }
    if (value instanceof Set) return new ExtData(SET, this.#nest([...value]));
    if (value instanceof Date) {
      if (Number.isNaN(value.getTime())) {
        throw new TypeError("a Date is invalid");
      }
      return new ExtData(TIMESTAMP, encodeTimestampExtension(value)!);
    }
    if (value instanceof MsgpackExtension) {
      return new ExtData(
        checkInteger("extension type", value.type, -128, 127),
        value.data,
      );
    }
    if (
      value instanceof ArrayBuffer ||
      (typeof SharedArrayBuffer !== "undefined" &&
        value instanceof SharedArrayBuffer)
    ) {
      throw new TypeError("an ArrayBuffer has no form, its Uint8Array has");
    }
    return null;
  }

  decode(data: Uint8Array, type: number): unknown {
    switch (type) {
      case TIMESTAMP:
        return decodeTimestampExtension(data);
      case BIGINT:
        return decodeBigint(data);
      case MAP: {
        const flat = this.#unnest(data);
        if (flat.length % 2 !== 0) {
          throw new TypeError("a Map key has no value");
        }
        const map = new Map<unknown, unknown>();
        for (let i = 0; i < flat.length; i += 2) map.set(flat[i], flat[i + 1]);
        return map;
      }
      case SET:
        return new Set(this.#unnest(data));
      default:
        return new MsgpackExtension(type, data);
    }
  }

  #nest(values: unknown[]): Uint8Array {
    this.#enter();
    const bytes = this.#encode(values);
    this.level--;
    return bytes;
  }

  #unnest(data: Uint8Array): unknown[] {
    this.#enter();
    const values = this.#decode(data);
    this.level--;
    if (!Array.isArray(values)) throw new TypeError("a Map or Set is no array");
    return values;
  }

  #enter(): void {
    if (++this.level > this.#maxLevel) {
      throw new RangeError(
        `extension values are nested deeper than maxDepth ${this.#maxLevel}`,
      );
    }
  }
}

/** The payload of a bigint: two's complement, big-endian. */
export function encodeBigint(value: bigint): Uint8Array {
  if (BigInt.asIntN(64, value) === value) {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigInt64(0, value);
    return bytes;
  }
  const magnitude = (value < 0n ? ~value : value).toString(16);
  const length = (magnitude.length >> 1) + 1; // room for the sign bit
  if (length > MAX_BIGINT) {
    throw new RangeError(`a bigint of ${length} bytes exceeds ${MAX_BIGINT}`);
  }
  const hex = magnitude.padStart(2 * length, "0");
  const flip = value < 0n ? 0xff : 0;
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    bytes[i] = parseInt(hex.slice(2 * i, 2 * i + 2), 16) ^ flip;
  }
  return bytes;
}

function decodeBigint(data: Uint8Array): bigint {
  if (data.length === 0 || data.length > MAX_BIGINT) {
    throw new RangeError(
      `a bigint has ${data.length} bytes, expected 1 to ${MAX_BIGINT}`,
    );
  }
  let hex = "0x";
  for (const byte of data) hex += byte.toString(16).padStart(2, "0");
  return BigInt.asIntN(8 * data.length, BigInt(hex));
}
