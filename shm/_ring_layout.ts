// A ring in shared memory, little-endian. docs/shm-layout.md is the reference.
//
//      0  u32  magic "SLRG"               20  u32  producer's state
//      4  u32  layout version, last       24  u64  producer's start time
//      8  u32  capacity, a power of two   32  u32  consumer's pid
//     12  u32  longest record's bytes     36  u32  consumer's state
//     16  u32  producer's pid             40  u64  consumer's start time
//    128  u32  1 while the producer sleeps
//    256  u32  tail: bytes that the consumer is done with, modulo 2^32
//    384  u32  1 while the consumer sleeps
//    512       the records
//
// Hot words lie two cache lines apart, as processors fetch lines in pairs.
//
// A record starts at a multiple of 8 and never wraps:
//
//      0  i32  0: not written yet; n > 0: n bytes with these 8;
//              n < 0: nothing up to the ring's end, -n bytes away
//      4  u32  zero, for later versions
//      8       the payload, padded to a multiple of 8
//
// The producer writes the payload, clears the word of the *next* record, and
// then stores its own word: that store is the commit, and the consumer polls
// the very line that brings the payload. So 8 bytes always stay free.

import type { SharedMemory } from "./shared_memory.ts";
import { checkInteger, describe } from "../_async/check.ts";
import { HEADER_SIZE } from "./_header.ts";

export const RING_HEADER = 512;
export const RECORD_HEADER = 8;
export const MIN_CAPACITY = 64;
export const MAX_CAPACITY = 2 ** 30;

const RING_VERSION = 1;
const MAGIC = 0x4752_4c53; // "SLRG" in memory

// Indices of 32-bit words.
export const PRODUCER = 4;
export const CONSUMER = 8;
export const PRODUCER_SLEEPS = 32;
export const TAIL = 64;
export const CONSUMER_SLEEPS = 96;

/** A ring's parts, its header checked. */
export interface RingParts {
  memory: SharedMemory;
  header: Int32Array<ArrayBuffer>;
  words: Int32Array<ArrayBuffer>;
  bytes: Uint8Array<ArrayBuffer>;
  /** Whole words of 8 bytes copy twice as fast as those of 4. */
  longs: BigInt64Array<ArrayBuffer>;
  capacity: number;
}

/** The longest record: it must fit also after padding to the ring's end. */
export function longestRecord(capacity: number): number {
  return capacity / 2 - 2 * RECORD_HEADER;
}

/** Returns `capacity` where it is a power of two within bounds, or throws. */
export function checkCapacity(capacity: number): number {
  checkInteger("capacity", capacity, MIN_CAPACITY, MAX_CAPACITY);
  if ((capacity & (capacity - 1)) !== 0) {
    throw new RangeError(
      `Invalid capacity: expected a power of two, received ${capacity}`,
    );
  }
  return capacity;
}

/** Where a structure of `length` bytes lies in the mapping, or throws. */
export function locate(
  memory: SharedMemory,
  offset: number,
  length: number,
  what: string,
): number {
  checkInteger("offset", offset, 0);
  if (memory.closed) {
    throw new Deno.errors.BadResource(`${what}: shared memory is closed`);
  }
  if (offset % 8 !== 0) {
    throw new RangeError(
      `Invalid offset: expected a multiple of 8, received ${offset}`,
    );
  }
  if (offset + length > memory.size) {
    throw new RangeError(
      `${what}: it needs ${length} bytes at offset ${offset}, ` +
        `the segment holds ${memory.size}`,
    );
  }
  return HEADER_SIZE + offset;
}

/** Writes an empty ring. */
export function formatRing(
  memory: SharedMemory,
  offset: number,
  capacity: number,
): RingParts {
  checkCapacity(capacity);
  const what = "Cannot create ring";
  const start = locate(memory, offset, RING_HEADER + capacity, what);
  const header = new Int32Array(memory.buffer, start, RING_HEADER / 4);
  if (Atomics.load(header, 1) !== 0) {
    throw new Deno.errors.AlreadyExists(
      `${what}: something is at offset ${offset} already`,
    );
  }
  header.fill(0);
  header[0] = MAGIC;
  header[2] = capacity;
  header[3] = longestRecord(capacity);
  const parts = partsOf(memory, header, start, capacity);
  parts.words[0] = 0;
  Atomics.store(header, 1, RING_VERSION);
  return parts;
}

/** A magic as it is in memory, such as `"SLRG"`. */
export function showMagic(magic: number): string {
  const bytes = [0, 8, 16, 24].map((shift) => (magic >>> shift) & 0xff);
  return describe(String.fromCharCode(...bytes));
}

/** Checks the ring that another process wrote. Reads each field once. */
export function attachRing(memory: SharedMemory, offset: number): RingParts {
  const what = "Cannot open ring";
  const start = locate(memory, offset, RING_HEADER + MIN_CAPACITY, what);
  const header = new Int32Array(memory.buffer, start, RING_HEADER / 4);
  const version = Atomics.load(header, 1);
  const [magic, , capacity, longest] = header;
  if (version === 0) {
    throw new Deno.errors.NotFound(`${what}: none at offset ${offset} yet`);
  }
  if (magic !== MAGIC || version !== RING_VERSION) {
    throw new Deno.errors.InvalidData(
      `${what}: expected magic ${showMagic(MAGIC)} and version ` +
        `${RING_VERSION}, received ${showMagic(magic)} and ${version}`,
    );
  }
  if (
    capacity < MIN_CAPACITY || capacity > MAX_CAPACITY ||
    (capacity & (capacity - 1)) !== 0 ||
    offset + RING_HEADER + capacity > memory.size
  ) {
    throw new Deno.errors.InvalidData(
      `${what}: capacity ${capacity} is no power of two that fits into the ` +
        `${memory.size} bytes of the segment`,
    );
  }
  if (longest !== longestRecord(capacity)) {
    throw new Deno.errors.InvalidData(
      `${what}: longest record ${longest} does not fit capacity ${capacity}`,
    );
  }
  return partsOf(memory, header, start, capacity);
}

function partsOf(
  memory: SharedMemory,
  header: Int32Array<ArrayBuffer>,
  start: number,
  capacity: number,
): RingParts {
  const data = start + RING_HEADER;
  return {
    memory,
    header,
    words: new Int32Array(memory.buffer, data, capacity / 4),
    bytes: new Uint8Array(memory.buffer, data, capacity),
    longs: new BigInt64Array(memory.buffer, data, capacity / 8),
    capacity,
  };
}
