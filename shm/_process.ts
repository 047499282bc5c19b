// Who a process is: pid, start time and pid namespace. A pid alone comes
// around again; together they name one process since boot.

import { cString, libc } from "../_libc/library.ts";
import { errnoName } from "../_libc/errno.ts";
import { O_CLOEXEC, O_RDONLY } from "../_libc/constants.ts";

/** One process since boot, as it stands in shared memory. */
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

let self: ProcessIdentity | undefined;

/** This process. Start time 0 where the platform has no `/proc`. */
export function identity(): ProcessIdentity {
  return self ??= {
    pid: Deno.pid,
    startTime: startTimeOf(Deno.pid) ?? 0n,
  };
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

let namespace: number | undefined;

/** The inode of this process's pid namespace; 0 where there is none. */
export function pidNamespace(): number {
  if (namespace !== undefined) return namespace;
  const c = libc("read the pid namespace");
  const count = c.readlink === null || Deno.build.os !== "linux"
    ? -1
    : Number(c.readlink(cString("/proc/self/ns/pid"), scratch, 64n));
  const link = count < 0 ? "" : decoder.decode(scratch.subarray(0, count));
  return namespace = Number(/\[(\d+)\]/.exec(link)?.[1] ?? 0);
}

/** Bytes that the system can still give out, or `Infinity` where unknown. */
export function availableMemory(): number {
  const text = Deno.build.os === "linux" ? readProc("/proc/meminfo") : "";
  const available = /MemAvailable:\s+(\d+) kB/.exec(text ?? "");
  const swap = /SwapFree:\s+(\d+) kB/.exec(text ?? "");
  if (available === null) return Infinity;
  return (Number(available[1]) + Number(swap?.[1] ?? 0)) * 1024;
}
