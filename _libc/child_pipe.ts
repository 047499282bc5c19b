// The runtime's own end of a pipe, opened once more: for calls that move bytes
// at once where there is room, beside the runtime's own.

import {
  F_GETFL,
  O_ACCMODE,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
} from "./constants.ts";
import { openDescriptors } from "./descriptor.ts";
import { fileOf } from "./file.ts";
import { cString, libc } from "./library.ts";
import { hasPipes } from "./pipe.ts";

/**
 * This process's end of the pipe that a child has as its stdin, for the caller
 * to close. `undefined` without FFI, elsewhere than on Linux, and where the child
 * has another file there by now: only a pipe of which the runtime has the other
 * end is the right one.
 */
export function openStdinOf(pid: number): number | undefined {
  if (!hasPipes()) return undefined;
  const pipe = fileOf(0, pid);
  // A child that inherits stderr could have that as its stdin.
  const shared = [0, 1, 2].some((fd) => fileOf(fd) === pipe);
  if (!pipe.startsWith("pipe:") || shared) return undefined;
  const lib = libc("open the pipe of a child");
  // The newest as a rule is among the last.
  const own = openDescriptors().findLast((fd) =>
    fileOf(fd) === pipe &&
    (lib.fcntl!(fd, F_GETFL, 0n) & O_ACCMODE) === O_WRONLY
  );
  return own === undefined ? undefined : openAgain(own, O_WRONLY);
}

/**
 * This process's stdin or stdout, for the caller to close. `undefined` where it
 * is no pipe, without FFI, and elsewhere than on Linux.
 */
export function openStdioAgain(fd: 0 | 1): number | undefined {
  if (!hasPipes() || !fileOf(fd).startsWith("pipe:")) return undefined;
  return openAgain(fd, fd === 0 ? O_RDONLY : O_WRONLY);
}

/** A description of its own: whoever shares the old one goes on waiting. */
function openAgain(fd: number, mode: number): number | undefined {
  const path = cString(`/proc/self/fd/${fd}`);
  const flags = mode | O_NONBLOCK | O_CLOEXEC;
  const opened = libc("open a pipe again").open!(path, flags, 0);
  return opened < 0 ? undefined : opened;
}
