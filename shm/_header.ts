// The first 128 bytes of every segment. docs/shm-layout.md is the reference.
//
//     0  u32  magic "SLSM"              32  u64  owner's start time, in ticks
//     4  u32  layout version            40  u32  owner's pid namespace
//     8  u64  bytes of the segment      44  u32  flags: 1 = keep the name
//    16  u32  bytes of this header      48       zero, for later versions
//    24  u32  owner's pid              128       the data
//
// The version is written last: a reader that sees it sees the rest.

import type { ProcessIdentity } from "../_libc/process.ts";
import { identity, pidNamespace } from "./_process.ts";

export const HEADER_SIZE = 128;
export const LAYOUT_VERSION = 1;
const MAGIC = 0x4d53_4c53; // "SLSM" in memory

const FLAG_KEEP = 1;

/** What a valid header says. */
export interface Header {
  length: number;
  owner: ProcessIdentity;
  namespace: number;
  keep: boolean;
}

/** Writes a header over a zeroed segment. */
export function writeHeader(buffer: ArrayBuffer, keep: boolean): void {
  const view = new DataView(buffer, 0, HEADER_SIZE);
  const { pid, startTime } = identity();
  view.setBigUint64(8, BigInt(buffer.byteLength), true);
  view.setUint32(16, HEADER_SIZE, true);
  view.setUint32(24, pid, true);
  view.setBigUint64(32, startTime, true);
  view.setUint32(40, pidNamespace(), true);
  view.setUint32(44, keep ? FLAG_KEEP : 0, true);
  view.setUint32(0, MAGIC, true);
  Atomics.store(new Int32Array(buffer, 4, 1), 0, LAYOUT_VERSION);
}

/** Checks the header in `bytes` of a segment of `length` bytes, or throws. */
export function readHeader(
  bytes: Uint8Array,
  length: number,
  what: string,
): Header {
  if (length < HEADER_SIZE || bytes.length < HEADER_SIZE) {
    throw new Deno.errors.InvalidData(
      `${what}: it holds ${length} bytes, less than the header's ${HEADER_SIZE}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_SIZE);
  const magic = view.getUint32(0, true);
  const version = view.getUint32(4, true);
  if (magic === 0 && version === 0) {
    throw new Deno.errors.Busy(
      `${what}: it has no header yet, its creator is not done or was killed`,
    );
  }
  if (magic !== MAGIC) {
    throw new Deno.errors.InvalidData(
      `${what}: not a Sluice segment, it starts with 0x${hex(magic)} ` +
        `instead of 0x${hex(MAGIC)}`,
    );
  }
  if (version !== LAYOUT_VERSION) {
    throw new Deno.errors.InvalidData(
      `${what}: layout version ${version} is ` +
        `${version > LAYOUT_VERSION ? "newer" : "older"} than ` +
        `${LAYOUT_VERSION}, the one that this program knows`,
    );
  }
  const said = view.getBigUint64(8, true);
  if (said !== BigInt(length)) {
    throw new Deno.errors.InvalidData(
      `${what}: the header says ${said} bytes, the segment holds ${length}`,
    );
  }
  const headerSize = view.getUint32(16, true);
  if (headerSize !== HEADER_SIZE) {
    throw new Deno.errors.InvalidData(
      `${what}: the header says that it has ${headerSize} bytes, ` +
        `version ${LAYOUT_VERSION} has ${HEADER_SIZE}`,
    );
  }
  return {
    length,
    owner: {
      pid: view.getUint32(24, true),
      startTime: view.getBigUint64(32, true),
    },
    namespace: view.getUint32(40, true),
    keep: (view.getUint32(44, true) & FLAG_KEEP) !== 0,
  };
}

function hex(word: number): string {
  return word.toString(16).padStart(8, "0");
}
