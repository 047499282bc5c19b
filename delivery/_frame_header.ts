// The header of a frame, and what follows it, as they are read.

import { FrameError } from "../framing/frame_error.ts";
import type { LengthHeader } from "../framing/_header_decoder.ts";
import { crc32 } from "./_crc32.ts";
import {
  CHECKSUM_BYTES,
  HEADER_BYTES,
  Kind,
  LENGTH_BYTES,
  malformed,
  MAX_CONTROL,
} from "./_wire.ts";

/** Kind and sequence of the frame that is verified. */
const HEAD = new Uint8Array(HEADER_BYTES - LENGTH_BYTES);

/**
 * Messages that lie in a buffer one after the other: a payload, and then header
 * and payload of each further one.
 */
export interface DataRun {
  /** The low 32 bits of the first one's number, signed. */
  readonly sequence: number;
  readonly count: number;
  /** The bytes of the first payload, and of the last. */
  readonly firstLength: number;
  readonly lastLength: number;
}

/** Reads length, kind and sequence at once; the payload is what follows. */
export class FrameHeader implements LengthHeader, DataRun {
  readonly maxLength = HEADER_BYTES;
  length = 0;
  kind = 0;
  sequence = 0;
  count = 1;
  firstLength = 0;
  lastLength = 0;
  /** The longest payload of data, with its checksum. */
  maxData = 0;
  /** Whether messages that are here, in their order, are read as one frame. */
  joinsData = false;

  read(bytes: Uint8Array, start: number, end: number): number {
    if (end - start < HEADER_BYTES) return 0;
    const kind = bytes[start + 4];
    const length = payloadLength(bytes, start);
    if (kind > Kind.Refuse || length < 0) {
      throw malformed(
        `the kind ${kind} and the length ${int32(bytes, start) >>> 0}`,
      );
    }
    const max = kind === Kind.Data ? this.maxData : MAX_CONTROL;
    if (length > max) throw tooLong(length, max);
    this.length = this.firstLength = this.lastLength = length;
    this.kind = kind;
    this.sequence = int32(bytes, start + 5);
    this.count = 1;
    if (this.joinsData && kind === Kind.Data) {
      this.#join(bytes, start + HEADER_BYTES, end);
    }
    return HEADER_BYTES;
  }

  /** Adds the messages that follow the one at `start`, and are whole. */
  #join(bytes: Uint8Array, start: number, end: number): void {
    let at = start + this.length;
    let { sequence, count, lastLength } = this;
    for (; at + HEADER_BYTES <= end; count++) {
      const length = payloadLength(bytes, at);
      sequence = (sequence + 1) | 0;
      if (
        bytes[at + 4] !== Kind.Data || length < 0 || length > this.maxData ||
        at + HEADER_BYTES + length > end || int32(bytes, at + 5) !== sequence
      ) break;
      at += HEADER_BYTES + length;
      lastLength = length;
    }
    this.length = at - start;
    this.count = count;
    this.lastLength = lastLength;
  }
}

/** The bytes that follow the header at `at`; below 0 for a length too short. */
export function payloadLength(bytes: Uint8Array, at: number): number {
  return (int32(bytes, at) >>> 0) - (HEADER_BYTES - LENGTH_BYTES);
}

function int32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) |
    bytes[at + 3];
}

function tooLong(length: number, max: number): FrameError {
  return new FrameError(
    `Cannot decode frame: length ${length} exceeds the ${max} that the peer ` +
      `may send`,
    { code: "too-long" },
  );
}

/**
 * Checks the checksum of the frame whose header was read last, and whose body is
 * `bytes` from `start` to `end`. Returns where the payload ends.
 */
export function verify(
  { kind, sequence }: FrameHeader,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  end -= CHECKSUM_BYTES;
  if (end < start) throw malformed("no checksum");
  HEAD[0] = kind;
  HEAD[1] = sequence >>> 24;
  HEAD[2] = sequence >>> 16;
  HEAD[3] = sequence >>> 8;
  HEAD[4] = sequence;
  if (
    crc32(bytes, start, end, crc32(HEAD, 0, 5)) !== int32(bytes, end) >>> 0
  ) throw malformed("a wrong checksum");
  return end;
}
