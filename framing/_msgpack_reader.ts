// The common part of MessagePack, read by hand: a call's small values.

/** The bytes take the library: they are no value, or hold an uncommon one. */
export const NOT_HERE: unique symbol = Symbol("not here");

/** Deeper values are the library's: it knows what to say of them. */
const MAX_DEPTH = 32;
/** Longer strings go through `TextDecoder`, in bytes. */
const SHORT_STRING = 100;
/** The library has a reading of its own of invalid UTF-8 up to here, in bytes. */
const LONG_STRING = 200;

/** The most elements that are allocated by what a length promises. */
const SHORT_ARRAY = 16;

const strictDecoder = new TextDecoder("utf-8", {
  fatal: true,
  ignoreBOM: true,
});
const lossyDecoder = new TextDecoder();
const float = new DataView(new ArrayBuffer(8));
/**
 * Short strings that came, each in the place of its hash: names of methods and
 * keys come again, and the same string has its hash ready for the next map.
 */
const texts: string[] = new Array(256).fill("");
/** The same for keys, which what else comes does not drive out. */
const keys: string[] = new Array(256).fill("");

/**
 * Reads nil, booleans, numbers, strings, bytes, arrays, and maps with strings as
 * keys, to what the library makes of them. Little is allocated by what a length
 * promises, and nothing is read after the end.
 */
export class MsgpackReader {
  /** Whether the last value holds views into its bytes. */
  keeps = false;
  #maxDepth: number;
  #exactIntegers: boolean;
  /** What is read next, and the end of it. */
  #at = 0;
  #end = 0;

  constructor(maxDepth: number, exactIntegers: boolean) {
    this.#maxDepth = Math.min(maxDepth, MAX_DEPTH);
    this.#exactIntegers = exactIntegers;
  }

  /** The one value that is in `bytes` from `start` to `end`, or `NOT_HERE`. */
  read(bytes: Uint8Array, start: number, end: number): unknown {
    this.#at = start;
    this.#end = end;
    this.keeps = false;
    const value = this.#read(bytes, this.#maxDepth);
    return this.#at === end ? value : NOT_HERE;
  }

  /** `left` is how deep it may still nest. */
  #read(bytes: Uint8Array, left: number): unknown {
    if (this.#at >= this.#end) return NOT_HERE;
    const head = bytes[this.#at++];
    if (head < 0x80) return head;
    if (head >= 0xe0) return head - 0x100;
    if (head < 0x90) return this.#readMap(bytes, head & 15, left);
    if (head < 0xa0) return this.#readArray(bytes, head & 15, left);
    if (head < 0xc0) return this.#readString(bytes, head & 31);
    switch (head) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.#readBytes(bytes, this.#readLength(bytes, 1));
      case 0xc5:
        return this.#readBytes(bytes, this.#readLength(bytes, 2));
      case 0xc6:
        return this.#readBytes(bytes, this.#readLength(bytes, 4));
      case 0xca:
      case 0xcb:
      case 0xcc:
      case 0xcd:
      case 0xce:
      case 0xcf:
      case 0xd0:
      case 0xd1:
      case 0xd2:
      case 0xd3:
        return this.#readNumber(bytes, head);
      case 0xd9:
        return this.#readString(bytes, this.#readLength(bytes, 1));
      case 0xda:
        return this.#readString(bytes, this.#readLength(bytes, 2));
      case 0xdb:
        return this.#readString(bytes, this.#readLength(bytes, 4));
      case 0xdc:
        return this.#readArray(bytes, this.#readLength(bytes, 2), left);
      case 0xdd:
        return this.#readArray(bytes, this.#readLength(bytes, 4), left);
      case 0xde:
        return this.#readMap(bytes, this.#readLength(bytes, 2), left);
      case 0xdf:
        return this.#readMap(bytes, this.#readLength(bytes, 4), left);
      default:
        return NOT_HERE;
    }
  }

  /** A length of so many bytes; more than can follow where they are missing. */
  #readLength(bytes: Uint8Array, size: number): number {
    if (this.#at + size > this.#end) return Infinity;
    let length = 0;
    for (let index = 0; index < size; index++) {
      length = length * 256 + bytes[this.#at++];
    }
    return length;
  }

  #readNumber(bytes: Uint8Array, head: number): unknown {
    const at = this.#at;
    const size = head < 0xcc ? 4 << (head - 0xca) : 1 << (head & 3);
    if (at + size > this.#end) return NOT_HERE;
    this.#at += size;
    switch (head) {
      case 0xcc:
        return bytes[at];
      case 0xcd:
        return (bytes[at] << 8) | bytes[at + 1];
      case 0xce:
        return int32(bytes, at) >>> 0;
      case 0xcf:
        return this.#readLong(bytes, at, int32(bytes, at) >>> 0);
      case 0xd0:
        return (bytes[at] << 24) >> 24;
      case 0xd1:
        return ((bytes[at] << 24) >> 16) | bytes[at + 1];
      case 0xd2:
        return int32(bytes, at);
      case 0xd3:
        return this.#readLong(bytes, at, int32(bytes, at));
      case 0xca:
        float.setInt32(0, int32(bytes, at));
        return float.getFloat32(0);
      default:
        float.setInt32(0, int32(bytes, at));
        float.setInt32(4, int32(bytes, at + 4));
        return float.getFloat64(0);
    }
  }

  /** 64 bits, of which the upper half is `high`. */
  #readLong(bytes: Uint8Array, at: number, high: number): number | bigint {
    const low = int32(bytes, at + 4) >>> 0;
    const value = high * 2 ** 32 + low;
    return this.#exactIntegers && !Number.isSafeInteger(value)
      ? BigInt(high) << 32n | BigInt(low)
      : value;
  }

  #readBytes(bytes: Uint8Array, length: number): unknown {
    const at = this.#at;
    if (at + length > this.#end) return NOT_HERE;
    this.#at += length;
    this.keeps = true;
    return bytes.subarray(at, this.#at);
  }

  #readString(bytes: Uint8Array, length: number): unknown {
    const at = this.#at;
    if (at + length > this.#end) return NOT_HERE;
    this.#at += length;
    if (length > 0 && length < 32) {
      const text = readKnown(texts, bytes, at, this.#at);
      if (text !== undefined) return text;
    }
    if (length <= SHORT_STRING) {
      return readAscii(bytes, at, this.#at) ?? readUnits(bytes, at, this.#at);
    }
    const part = bytes.subarray(at, this.#at);
    if (length > LONG_STRING) return lossyDecoder.decode(part);
    try {
      return strictDecoder.decode(part);
    } catch {
      return NOT_HERE;
    }
  }

  #readArray(bytes: Uint8Array, length: number, left: number): unknown {
    if (left === 0 || this.#at + length > this.#end) return NOT_HERE;
    // A short one gets what it needs at once; a long one as it fills.
    const array: unknown[] = length <= SHORT_ARRAY ? new Array(length) : [];
    for (let index = 0; index < length; index++) {
      const value = this.#read(bytes, left - 1);
      if (value === NOT_HERE) return NOT_HERE;
      array[index] = value;
    }
    return array;
  }

  #readMap(bytes: Uint8Array, length: number, left: number): unknown {
    if (left === 0 || this.#at + 2 * length > this.#end) return NOT_HERE;
    const map: Record<string, unknown> = {};
    for (let index = 0; index < length; index++) {
      const key = this.#readKey(bytes);
      if (typeof key !== "string" || key === "__proto__") return NOT_HERE;
      const value = this.#read(bytes, left - 1);
      if (value === NOT_HERE) return NOT_HERE;
      map[key] = value;
    }
    return map;
  }

  #readKey(bytes: Uint8Array): unknown {
    const at = this.#at + 1;
    if (at > this.#end) return NOT_HERE;
    const length = bytes[at - 1] - 0xa0;
    if (length <= 0 || length >= 32 || at + length > this.#end) {
      return this.#read(bytes, 0);
    }
    const key = readKnown(keys, bytes, at, at + length);
    if (key === undefined) return this.#read(bytes, 0);
    this.#at = at + length;
    return key;
  }
}

/** ASCII, where it came before as the string of then; or `undefined`. */
function readKnown(
  known: string[],
  bytes: Uint8Array,
  at: number,
  end: number,
): string | undefined {
  const length = end - at;
  const place = (length + 31 * bytes[at] + 7 * bytes[end - 1]) & 255;
  const last = known[place];
  if (isAt(bytes, at, length, last)) return last;
  const text = readAscii(bytes, at, end);
  if (text !== undefined) known[place] = text;
  return text;
}

function isAt(
  bytes: Uint8Array,
  at: number,
  length: number,
  text: string,
): boolean {
  if (text.length !== length) return false;
  for (let index = 0; index < length; index++) {
    if (text.charCodeAt(index) !== bytes[at + index]) return false;
  }
  return true;
}

function int32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) |
    bytes[at + 3];
}

/** The text, or `undefined` where it is not all ASCII. */
function readAscii(
  bytes: Uint8Array,
  at: number,
  end: number,
): string | undefined {
  let text = "";
  let all = 0;
  // One call for eight costs little more than one for one.
  for (; at + 8 <= end; at += 8) {
    const a = bytes[at], b = bytes[at + 1], c = bytes[at + 2];
    const d = bytes[at + 3], e = bytes[at + 4], f = bytes[at + 5];
    const g = bytes[at + 6], h = bytes[at + 7];
    all |= a | b | c | d | e | f | g | h;
    text += String.fromCharCode(a, b, c, d, e, f, g, h);
  }
  if (at + 4 <= end) {
    const a = bytes[at], b = bytes[at + 1], c = bytes[at + 2];
    const d = bytes[at + 3];
    all |= a | b | c | d;
    text += String.fromCharCode(a, b, c, d);
    at += 4;
  }
  if (at + 3 === end) {
    const a = bytes[at], b = bytes[at + 1], c = bytes[at + 2];
    all |= a | b | c;
    text += String.fromCharCode(a, b, c);
  } else if (at + 2 === end) {
    const a = bytes[at], b = bytes[at + 1];
    all |= a | b;
    text += String.fromCharCode(a, b);
  } else if (at + 1 === end) {
    all |= bytes[at];
    text += String.fromCharCode(bytes[at]);
  }
  return all < 0x80 ? text : undefined;
}

/** UTF-8 without a check of what follows a first byte, as the library reads it. */
function readUnits(
  bytes: Uint8Array,
  at: number,
  end: number,
): string | typeof NOT_HERE {
  const units: number[] = [];
  while (at < end) {
    const first = bytes[at++];
    if (first < 0xc0 || first >= 0xf8) {
      units.push(first);
      continue;
    }
    const more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    if (at + more > end) return NOT_HERE;
    let unit = first & (0x3f >> more);
    for (let index = 0; index < more; index++) {
      unit = (unit << 6) | (bytes[at++] & 0x3f);
    }
    if (unit > 0xffff) {
      unit -= 0x10000;
      units.push(((unit >>> 10) & 0x3ff) | 0xd800);
      unit = 0xdc00 | (unit & 0x3ff);
    }
    units.push(unit);
  }
  return String.fromCharCode(...units);
}
