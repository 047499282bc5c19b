// What the framing tests share.

import type { Duplex } from "../duplex.ts";
import {
  contentLength,
  delimited,
  encodeFrame,
  type FrameFormat,
  type FrameLimits,
  lengthPrefixed,
  lines,
  messagePack,
  msgpack,
  varint,
} from "../framing/mod.ts";
import type { Random } from "./_random.ts";

/** Two duplexes, each the other's peer. */
export function duplexPair(): [Duplex, Duplex] {
  const there = new TransformStream<Uint8Array, Uint8Array>();
  const back = new TransformStream<Uint8Array, Uint8Array>();
  return [
    { readable: back.readable, writable: there.writable },
    { readable: there.readable, writable: back.writable },
  ];
}

export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Feeds the pieces to a new decoder and ends it. Frames are copied. */
export function decodeAll(
  format: FrameFormat,
  pieces: readonly Uint8Array[],
  limits?: FrameLimits,
): Uint8Array[] {
  const frames: Uint8Array[] = [];
  const emit = (frame: Uint8Array) => frames.push(frame.slice());
  const decoder = format.createDecoder(limits);
  for (const piece of pieces) decoder.push(piece, emit);
  decoder.end(emit);
  return frames;
}

export function encodeAll(
  format: FrameFormat,
  payloads: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  return concat(payloads.map((payload) => encodeFrame(format, payload)));
}

/** A format with a source of payloads that it can hold. */
export interface FormatCase {
  format: FrameFormat;
  payload(random: Random): Uint8Array;
}

const anyBytes = (random: Random) => random.bytes(random.below(40));

function without(byte: readonly number[]): (random: Random) => Uint8Array {
  return (random) => anyBytes(random).filter((value) => !byte.includes(value));
}

export function randomValue(random: Random, depth = 3): unknown {
  switch (random.below(depth > 0 ? 12 : 8)) {
    case 0:
      return null;
    case 1:
      return random.below(2) === 0;
    case 2:
      return random.below(300) - 150;
    case 3:
      return (random.below(2 ** 31) - 2 ** 30) *
        random.pick([1, 1 / 3, 2 ** 20]);
    case 4:
      return "ä".repeat(random.below(40));
    case 5:
      return random.bytes(random.below(300));
    case 6:
      return new Date(random.below(2 ** 31) * random.pick([1, 1000, -1000]));
    case 7:
      return BigInt(random.below(2 ** 31)) ** BigInt(random.below(9)) *
        random.pick([1n, -1n]);
    case 8:
    case 9:
      return Array.from(
        { length: random.below(20) },
        () => randomValue(random, depth - 1),
      );
    case 10:
      return new Map(Array.from(
        { length: random.below(5) },
        () => [randomValue(random, 0), randomValue(random, depth - 1)],
      ));
    default:
      return Object.fromEntries(Array.from(
        { length: random.below(20) },
        (_, i) => [`key${i}`, randomValue(random, depth - 1)],
      ));
  }
}

/** Every format, in every form. */
export const FORMATS: Record<string, FormatCase> = {
  "lengthPrefixed": { format: lengthPrefixed(), payload: anyBytes },
  "varint": {
    format: varint(),
    payload: (random) => random.bytes(random.below(200)),
  },
  "contentLength": { format: contentLength(), payload: anyBytes },
  "lines": { format: lines(), payload: without([10, 13]) },
  "delimited with one byte": {
    format: delimited(new Uint8Array([0])),
    payload: without([0]),
  },
  "delimited with a delimiter that overlaps itself": {
    format: delimited(new Uint8Array([1, 1, 2])),
    // Ones and threes: "1 1 1 2" has its delimiter at its second byte.
    payload: (random) =>
      random.bytes(random.below(12)).map((byte) => byte % 2 === 0 ? 3 : 1)
        .filter((byte, i, all) => byte !== 1 || i < all.length - 1),
  },
  "messagePack": {
    format: messagePack(),
    payload: (random) => msgpack.encode(randomValue(random)),
  },
};
for (const bytes of [1, 2, 4, 8] as const) {
  for (const endian of ["big", "little"] as const) {
    for (const includesHeader of [false, true]) {
      const options = { bytes, endian, includesHeader };
      FORMATS[`lengthPrefixed ${JSON.stringify(options)}`] = {
        format: lengthPrefixed(options),
        payload: anyBytes,
      };
    }
  }
}
