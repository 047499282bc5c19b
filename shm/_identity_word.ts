// A process as one word of 64 bits that a single compare-and-exchange can set:
// the pid below, the low half of the start time above. So there is no moment in
// which an owner is known by half. Start times repeat after 497 days of ticks.

import { isAlive, startTimeOf } from "../_libc/process.ts";
import { identity } from "./_process.ts";

let own: bigint | undefined;

/** This process. Never 0. */
export function ownWord(): bigint {
  if (own !== undefined) return own;
  const { pid, startTime } = identity();
  return own = BigInt.asIntN(64, (startTime << 32n) | BigInt(pid));
}

/** The pid in a word. */
export function pidOf(word: bigint): number {
  return Number(word & 0xffff_ffffn);
}

/** Whether the process in a word still runs. Reads `/proc`: some 10 µs. */
export function wordAlive(word: bigint): boolean {
  if (word === own) return true;
  const pid = pidOf(word);
  if (!isAlive({ pid, startTime: 0n })) return false;
  const said = BigInt.asUintN(64, word) >> 32n;
  const started = startTimeOf(pid);
  return said === 0n || started === undefined || // hidden: it may live
    (started & 0xffff_ffffn) === said;
}
