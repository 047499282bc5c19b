// Exact 64-bit integers through the library, which knows either none, or those
// alone: with `useBigInt64` it reads each as a bigint, writes a number above 2^32
// as a float, and cuts a longer bigint short.

import { BIGINT, encodeBigint } from "./_msgpack_extensions.ts";
import { MsgpackExtension } from "./msgpack_extension.ts";

/** Whether MessagePack has an integer for it. */
export function fits64(value: bigint): boolean {
  return BigInt.asIntN(64, value) === value ||
    BigInt.asUintN(64, value) === value;
}

/** The number, where that is exact. */
export function toExact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/**
 * The value to give to the library's encoder, or itself where nothing in it is
 * concerned. What is in a `Map` or `Set` comes here by itself.
 */
export function prepareIntegers(value: unknown, left: number): unknown {
  if (typeof value === "number") {
    const takesLong = value > 0xffff_ffff || value < -0x8000_0000;
    return takesLong && Number.isSafeInteger(value) ? BigInt(value) : value;
  }
  if (typeof value === "bigint") {
    const exact = toExact(value);
    if (typeof exact === "number") return prepareIntegers(exact, left);
    return fits64(value)
      ? value
      : new MsgpackExtension(BIGINT, encodeBigint(value));
  }
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    return prepareAll(value, left) ?? value;
  }
  const tag = Object.prototype.toString.call(value);
  if (tag !== "[object Object]" || value instanceof MsgpackExtension) {
    return value;
  }
  const keys = Object.keys(value);
  const values = keys.map((key) => (value as Record<string, unknown>)[key]);
  const prepared = prepareAll(values, left);
  return prepared === undefined
    ? value
    : Object.fromEntries(keys.map((key, index) => [key, prepared[index]]));
}

/** The values prepared, or `undefined` where each stays as it is. */
function prepareAll(
  values: readonly unknown[],
  left: number,
): unknown[] | undefined {
  if (left === 0 && values.length > 0) throw new Error("Too deep objects"); // as the library says it
  let copy: unknown[] | undefined;
  for (let index = 0; index < values.length; index++) {
    const prepared = prepareIntegers(values[index], left - 1);
    if (prepared === values[index]) continue;
    copy ??= [...values];
    copy[index] = prepared;
  }
  return copy;
}

/** The decoded value, with a number for each bigint that it holds exactly. */
export function finishIntegers(value: unknown): unknown {
  if (typeof value === "bigint") return toExact(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      value[index] = finishIntegers(value[index]);
    }
  } else if (Object.getPrototypeOf(value) === Object.prototype) {
    const map = value as Record<string, unknown>;
    for (const key of Object.keys(map)) map[key] = finishIntegers(map[key]);
  }
  return value;
}

/** A map's key, which JavaScript has as a string. */
export function toKey(key: unknown): string | number {
  if (typeof key === "string" || typeof key === "number") return key;
  if (typeof key === "bigint") return String(key);
  throw new Error(
    `The type of key must be string or number but ${typeof key}`,
  );
}
