// Processes by pid and start time: a pid alone comes around again, together they
// name one process since boot.

import { O_CLOEXEC, O_RDONLY } from "./constants.ts";
import { errnoName } from "./errno.ts";
import { cString, libc } from "./library.ts";

/** One process since boot. */
export interface ProcessIdentity {
  pid: number;
  /** Clock ticks from boot to start: field 22 of `/proc/<pid>/stat`. */
  startTime: bigint;
}

const scratch = new Uint8Array(4096);
const decoder = new TextDecoder("latin1");

/** Reads a small file of `/proc` through libc, which asks no read permission. */
export function readProc(path: string): string | undefined {
  const c = libc("read /proc");
  const fd = c.open!(cString(path), O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return undefined;
  const count = Number(c.read!(fd, scratch, BigInt(scratch.length)));
  c.close!(fd);
  return count < 0 ? undefined : decoder.decode(scratch.subarray(0, count));
}

/** When the process started, or `undefined` where it is dead or a zombie. */
export function startTimeOf(pid: number): bigint | undefined {
  const stat = readProc(`/proc/${pid}/stat`);
  return stat === undefined ? undefined : parseStartTime(stat);
}

function parseStartTime(stat: string): bigint | undefined {
  // The command in parentheses may hold spaces and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  if (state === "Z" || state === "X" || fields.length < 20) return undefined;
  return BigInt(fields[19]);
}

/** Whether the process that left this identity still runs. */
export function isAlive({ pid, startTime }: ProcessIdentity): boolean {
  if (!(pid > 0 && pid < 2 ** 31)) return false;
  const stat = Deno.build.os === "linux" && readProc(`/proc/${pid}/stat`);
  if (!stat) {
    // No /proc, or it hides others' processes: EPERM means alive.
    return libc("look for a process").kill!(pid, 0) === 0 ||
      errnoName() === "EPERM";
  }
  const started = parseStartTime(stat);
  // A start time of 0 was not written yet: the pid alone must do.
  return started !== undefined && (startTime === 0n || started === startTime);
}
