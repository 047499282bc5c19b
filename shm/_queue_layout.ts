// A queue from many producers to one consumer, little-endian.
// docs/shm-layout.md is the reference.
//
//      0  u32  magic "SLMP"                 16  u32 x4  the consumer (see Side)
//      4  u32  version, last
//      8  u32  capacity, a power of two
//    128  u64  head: the position where free room begins, below; above, the
//              last reservation: its slot (8 bits) and its length / 8 (24 bits)
//    256  u32  tail: the position that the consumer is at
//    260  u32  freeing: up to here the consumer clears, or has cleared
//    384  u64  x 64, the slots: each 0 or a producer's identity
//    896       the records
//
// A record starts at a multiple of 8 and never wraps. Its first 8 bytes:
//
//      i32 0, u32 p     free: the next record to start here has position p
//      i32 -n, u32 s    n bytes reserved by slot s, not committed yet
//      i32 n, u32 any   committed: n bytes with these 8
//      i32 2^30 + n     nothing for n bytes
//
// A producer reserves by one compare-and-exchange of `head`, which also says
// who did it. Before, it writes the second form for the reservation that it
// found there, if that still shows the first: so at any moment the owner of
// every reservation can be told, and a reservation whose owner is proven dead
// is skipped. The position in a free word makes a late helper's exchange fail.

export const QUEUE_MAGIC = 0x504d_4c53; // "SLMP" in memory
export const QUEUE_HEAD = 896;
export const SLOTS = 64;
/** Word of 64 bits. */
export const HEAD = 16;
/** Words of 32 bits. */
export const QUEUE_CONSUMER = 4;
export const QUEUE_TAIL = 64;
export const FREEING = 65;
/** Byte where the slots start. */
export const SLOTS_AT = 384;
export const SKIP = 0x4000_0000;
export const RECORD = 8;
export const MAX_QUEUE = 2 ** 26;

/** A queue's parts, its header checked. */
export interface QueueParts {
  head: Int32Array;
  head64: BigInt64Array;
  slots: BigInt64Array;
  words: Int32Array;
  words64: BigInt64Array;
  bytes: Uint8Array<ArrayBuffer>;
  capacity: number;
}

/** Views of a queue that starts at byte `start` of the mapping. */
export function queueParts(
  buffer: ArrayBuffer,
  start: number,
  capacity: number,
): QueueParts {
  const data = start + QUEUE_HEAD;
  return {
    head: new Int32Array(buffer, start, QUEUE_HEAD / 4),
    head64: new BigInt64Array(buffer, start, QUEUE_HEAD / 8),
    slots: new BigInt64Array(buffer, start + SLOTS_AT, SLOTS),
    words: new Int32Array(buffer, data, capacity / 4),
    words64: new BigInt64Array(buffer, data, capacity / 8),
    bytes: new Uint8Array(buffer, data, capacity),
    capacity,
  };
}

/** The longest record: it must fit also after skipping to the ring's end. */
export function longestQueued(capacity: number): number {
  return capacity / 2 - RECORD;
}

/** The bytes that a payload takes. */
export function queuedSize(length: number): number {
  return (length + RECORD + 7) & ~7;
}

const pair = new Int32Array(2);
const pair64 = new BigInt64Array(pair.buffer);

/** Two words of 32 bits as one of 64. */
export function join(low: number, high: number): bigint {
  pair[0] = low;
  pair[1] = high;
  return pair64[0];
}

/** Writes "free" over bytes from position `from` to position `to`. */
export function free(
  words: Int32Array,
  capacity: number,
  from: number,
  to: number,
): void {
  const mask = capacity - 1;
  for (let x = from; x !== to; x = (x + 8) | 0) {
    const at = (x & mask) >> 2;
    words[at] = 0;
    words[at + 1] = x + capacity;
  }
}

/** The error for what only a broken or hostile peer writes. */
export function corruptQueue(what: string): Deno.errors.InvalidData {
  return new Deno.errors.InvalidData(`Cannot use queue: corrupt, ${what}`);
}
