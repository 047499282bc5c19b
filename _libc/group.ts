// Signals to a whole process group.

import { hasLibc, libc } from "./library.ts";

const DARWIN = Deno.build.os === "darwin";

/** The numbers of the signals that end a program, or that it may handle. */
const NUMBERS: Partial<Record<Deno.Signal, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGUSR1: DARWIN ? 30 : 10,
  SIGUSR2: DARWIN ? 31 : 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGCONT: DARWIN ? 19 : 18,
  SIGSTOP: DARWIN ? 17 : 19,
  SIGTSTP: DARWIN ? 18 : 20,
};

/**
 * Sends `signal` to the group that `pid` leads, by the runtime where all of
 * `--allow-run` is granted, or else through FFI. `false` where neither can, or
 * there is no such group (yet).
 */
export function killGroup(pid: number, signal: Deno.Signal): boolean {
  if (Deno.build.os === "windows") return false;
  if (Deno.permissions.querySync({ name: "run" }).state === "granted") {
    try {
      Deno.kill(-pid, signal);
      return true;
    } catch { // none of it is left, or it belongs to someone else
      return false;
    }
  }
  const number = NUMBERS[signal];
  if (number === undefined || !hasLibc()) return false;
  return libc("signal a process group").kill?.(-pid, number) === 0;
}
