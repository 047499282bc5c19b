// Who this process is: pid, start time and pid namespace.

import { errnoName, osError } from "../_libc/errno.ts";
import { cString, libc } from "../_libc/library.ts";
import {
  type ProcessIdentity,
  readProc,
  startTimeOf,
} from "../_libc/process.ts";

let self: ProcessIdentity | undefined;

/** This process. Start time 0 where the platform has no `/proc`. */
export function identity(): ProcessIdentity {
  return self ??= { pid: Deno.pid, startTime: ownStartTime() };
}

function ownStartTime(): bigint {
  const startTime = startTimeOf(Deno.pid);
  if (startTime !== undefined) return startTime;
  // Another process would take the owner of a lock for dead.
  if (["EMFILE", "ENFILE"].includes(errnoName())) {
    throw osError("Cannot read when this process started", "open");
  }
  return 0n;
}

let namespace: number | undefined;

/** The inode of this process's pid namespace; 0 where there is none. */
export function pidNamespace(): number {
  if (namespace !== undefined) return namespace;
  const c = libc("read the pid namespace");
  const scratch = new Uint8Array(64);
  const count = c.readlink === null || Deno.build.os !== "linux"
    ? -1
    : Number(c.readlink(cString("/proc/self/ns/pid"), scratch, 64n));
  const link = new TextDecoder().decode(
    scratch.subarray(0, Math.max(count, 0)),
  );
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
