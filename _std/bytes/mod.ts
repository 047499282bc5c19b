/**
 * A stand-in for `@std/bytes` over `node:buffer`.
 * @module
 */
import { Buffer } from "node:buffer";

/** Joins the arrays into a new one. */
export function concat(
  buffers: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const buffer of buffers) length += buffer.length;
  const output = new Uint8Array(length);
  let index = 0;
  for (const buffer of buffers) {
    output.set(buffer, index);
    index += buffer.length;
  }
  return output;
}

/** Whether both hold the same bytes. */
export function equals(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** The first index of `needle` at or after `start`, or -1. */
export function indexOfNeedle(
  source: Uint8Array,
  needle: Uint8Array,
  start = 0,
): number {
  if (start >= source.length) return -1;
  return Buffer.from(source.buffer, source.byteOffset, source.byteLength)
    .indexOf(needle, Math.max(0, start));
}
