// The common part of MessagePack, written by hand: a call's small values.

import { fits64, toExact } from "./_msgpack_integers.ts";

/** The value takes the library: it has no room, no form, or an uncommon one. */
export const NOT_HERE = -1;

/** The most bytes of a message that is written here. */
const LENGTH = 8 * 1024;
/** Deeper values are the library's: it knows what to say of them. */
const MAX_DEPTH = 32;
/** Longer strings go through `TextEncoder`, in UTF-16 units. */
const SHORT_STRING = 50;
/** The most bytes of a number, of a length, and of a UTF-16 unit in UTF-8. */
const MAX_NUMBER = 9;
const MAX_HEAD = 5;
const MAX_UNIT = 3;

const textEncoder = new TextEncoder();
const float = new DataView(new ArrayBuffer(8));

/**
 * Writes nil, booleans, numbers, strings, `Uint8Array`s, arrays and plain
 * objects, byte for byte as the library does.
 */
export class MsgpackWriter {
  /** What `write` wrote, from the start. */
  readonly bytes: Uint8Array<ArrayBuffer> = new Uint8Array(LENGTH);
  #maxDepth: number;
  #exactIntegers: boolean;

  constructor(maxDepth: number, exactIntegers: boolean) {
    this.#maxDepth = Math.min(maxDepth, MAX_DEPTH);
    this.#exactIntegers = exactIntegers;
  }

  /** Returns the length in bytes, or `NOT_HERE`. */
  write(value: unknown): number {
    return this.#write(0, value, this.#maxDepth);
  }

  /** Returns where the value ends. `left` is how deep it may still nest. */
  #write(at: number, value: unknown, left: number): number {
    switch (typeof value) {
      case "number":
        return this.#writeNumber(at, value);
      case "string":
        return this.#writeString(at, value);
      case "boolean":
        return this.#writeByte(at, value ? 0xc3 : 0xc2);
      case "undefined":
        return this.#writeByte(at, 0xc0);
      case "object":
        return value === null
          ? this.#writeByte(at, 0xc0)
          : this.#writeObject(at, value, left);
      case "bigint":
        return this.#exactIntegers ? this.#writeBigint(at, value) : NOT_HERE;
      default:
        return NOT_HERE;
    }
  }

  #writeByte(at: number, byte: number): number {
    if (at >= LENGTH) return NOT_HERE;
    this.bytes[at] = byte;
    return at + 1;
  }

  #writeNumber(at: number, value: number): number {
    if (at + MAX_NUMBER > LENGTH) return NOT_HERE;
    const { bytes } = this;
    if (value === (value | 0)) { // also -0, which is written as 0
      if (value >= -32 && value < 128) {
        bytes[at] = value;
        return at + 1;
      }
      if (value >= -0x80 && value < 0x100) {
        bytes[at] = value < 0 ? 0xd0 : 0xcc;
        bytes[at + 1] = value;
        return at + 2;
      }
      if (value >= -0x8000 && value < 0x10000) {
        bytes[at] = value < 0 ? 0xd1 : 0xcd;
        bytes[at + 1] = value >> 8;
        bytes[at + 2] = value;
        return at + 3;
      }
      bytes[at] = value < 0 ? 0xd2 : 0xce;
      return writeUint32(bytes, at + 1, value);
    }
    if (!Number.isSafeInteger(value)) {
      float.setFloat64(0, value);
      bytes[at] = 0xcb;
      writeUint32(bytes, at + 1, float.getUint32(0));
      return writeUint32(bytes, at + 5, float.getUint32(4));
    }
    if (value > 0 && value < 2 ** 32) {
      bytes[at] = 0xce;
      return writeUint32(bytes, at + 1, value);
    }
    bytes[at] = value < 0 ? 0xd3 : 0xcf;
    writeUint32(bytes, at + 1, Math.floor(value / 2 ** 32));
    return writeUint32(bytes, at + 5, value);
  }

  /** As an integer of 64 bits, or as a number where that is exact. */
  #writeBigint(at: number, value: bigint): number {
    const exact = toExact(value);
    if (typeof exact === "number") return this.#writeNumber(at, exact);
    if (at + MAX_NUMBER > LENGTH || !fits64(value)) return NOT_HERE;
    const { bytes } = this;
    bytes[at] = value < 0n ? 0xd3 : 0xcf;
    writeUint32(bytes, at + 1, Number(BigInt.asUintN(32, value >> 32n)));
    return writeUint32(bytes, at + 5, Number(BigInt.asUintN(32, value)));
  }

  #writeString(at: number, value: string): number {
    const { length } = value;
    if (at + MAX_HEAD + MAX_UNIT * length > LENGTH) return NOT_HERE;
    if (length > SHORT_STRING) return this.#writeText(at, value);
    const { bytes } = this;
    let to = this.#writeHead(at, length, 0xa0, 32, 0xd9);
    for (let index = 0; index < length; index++) {
      const unit = value.charCodeAt(index);
      if (unit >= 0x80) return this.#writeText(at, value);
      bytes[to++] = unit;
    }
    return to;
  }

  /** A string whose length in bytes is known only when it is written. */
  #writeText(at: number, value: string): number {
    const { bytes } = this;
    const from = at + MAX_HEAD;
    const length = value.length > SHORT_STRING
      ? textEncoder.encodeInto(value, bytes.subarray(from)).written
      : writeUnits(bytes, from, value) - from;
    const to = this.#writeHead(at, length, 0xa0, 32, 0xd9);
    bytes.copyWithin(to, from, from + length);
    return to + length;
  }

  #writeObject(at: number, value: object, left: number): number {
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Array.prototype) {
      return Array.isArray(value)
        ? this.#writeArray(at, value, left)
        : NOT_HERE;
    }
    if (prototype === Object.prototype || prototype === null) {
      return Array.isArray(value) || ArrayBuffer.isView(value)
        ? NOT_HERE
        : this.#writeMap(at, value as Record<string, unknown>, left);
    }
    return prototype === Uint8Array.prototype && ArrayBuffer.isView(value)
      ? this.#writeBytes(at, value as Uint8Array)
      : NOT_HERE;
  }

  #writeArray(at: number, value: readonly unknown[], left: number): number {
    const { length } = value;
    if (left === 0 || at + MAX_HEAD + length > LENGTH) return NOT_HERE;
    at = this.#writeHead(at, length, 0x90, 16, 0);
    for (let index = 0; index < length; index++) {
      at = this.#write(at, value[index], left - 1);
      if (at < 0) return NOT_HERE;
    }
    return at;
  }

  #writeMap(
    at: number,
    value: Record<string, unknown>,
    left: number,
  ): number {
    const keys = Object.keys(value);
    let size = keys.length;
    if (left === 0 || at + MAX_HEAD + 2 * size > LENGTH) return NOT_HERE;
    for (let index = 0; index < keys.length; index++) {
      if (value[keys[index]] === undefined) size--;
    }
    at = this.#writeHead(at, size, 0x80, 16, 0);
    for (let index = 0; index < keys.length; index++) {
      const item = value[keys[index]];
      if (item === undefined) continue;
      at = this.#writeString(at, keys[index]);
      if (at < 0) return NOT_HERE;
      at = this.#write(at, item, left - 1);
      if (at < 0) return NOT_HERE;
    }
    return at;
  }

  #writeBytes(at: number, value: Uint8Array): number {
    const { length } = value;
    if (at + MAX_HEAD + length > LENGTH) return NOT_HERE;
    at = this.#writeHead(at, length, 0, 0, 0xc4);
    this.bytes.set(value, at);
    return at + length;
  }

  /**
   * Writes how long what follows is: in one byte below `short`, which `first`
   * counts up from, or after a byte. `byte` tells of one more byte; that of two
   * more follows it, but for arrays and maps, which have no form with one.
   */
  #writeHead(
    at: number,
    length: number,
    first: number,
    short: number,
    byte: number,
  ): number {
    const { bytes } = this;
    if (length < short) {
      bytes[at] = first + length;
      return at + 1;
    }
    if (byte !== 0 && length < 0x100) {
      bytes[at] = byte;
      bytes[at + 1] = length;
      return at + 2;
    }
    bytes[at] = byte !== 0 ? byte + 1 : first === 0x90 ? 0xdc : 0xde;
    bytes[at + 1] = length >> 8;
    bytes[at + 2] = length;
    return at + 3;
  }
}

/** UTF-8, with half a pair as three bytes: so does the library, to 50 units. */
function writeUnits(bytes: Uint8Array, at: number, value: string): number {
  for (let index = 0; index < value.length; index++) {
    const unit = value.codePointAt(index)!;
    if (unit < 0x80) {
      bytes[at++] = unit;
      continue;
    }
    if (unit < 0x800) bytes[at++] = 0xc0 | (unit >> 6);
    else {
      if (unit < 0x10000) bytes[at++] = 0xe0 | (unit >> 12);
      else {
        index++;
        bytes[at++] = 0xf0 | (unit >> 18);
        bytes[at++] = 0x80 | ((unit >> 12) & 0x3f);
      }
      bytes[at++] = 0x80 | ((unit >> 6) & 0x3f);
    }
    bytes[at++] = 0x80 | (unit & 0x3f);
  }
  return at;
}

function writeUint32(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
  return at + 4;
}
