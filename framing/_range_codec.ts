// The short way between a codec and a channel: no view for each message.

import type { Codec } from "./codec.ts";

/** Takes the bytes of a frame: those of `bytes` from `start` to `end`. */
export type EmitRange = (bytes: Uint8Array, start: number, end: number) => void;

/** A codec that can read and write parts of buffers. */
export interface RangeCodec extends Codec<unknown> {
  /** What `encodeSmall` wrote, from the start, until the codec's next call. */
  readonly small: Uint8Array;
  /** Encodes into `small`; the length, or -1: then `encodeShared` takes it. */
  encodeSmall(value: unknown): number;
  /** As `decode`. */
  decodeRange(bytes: Uint8Array, start: number, end: number): unknown;
  /** Whether the value of the last decode may hold views into its bytes. */
  readonly keeps: boolean;
}

/** The codec as a {@linkcode RangeCodec}, where it is one. */
export function asRangeCodec(codec: Codec<unknown>): RangeCodec | undefined {
  return "decodeRange" in codec ? codec as RangeCodec : undefined;
}
