// The runtime's own end of a pipe to a child, opened once more: for calls that
// move bytes at once where there is room, beside the event loop's.

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
 * This process's end of the pipe that a child has as its stdin or stdout, for
 * the caller to close. `undefined` without FFI, elsewhere than on Linux, and
 * where the child has another file there by now: only a pipe of which the
 * runtime has the other end is the right one. A stdout can't be told from the
 * stderr of a child that has turned them round: where both are piped, don't ask.
 */
export function openOwnEnd(pid: number, stream: 0 | 1): number | undefined {
  if (!hasPipes()) return undefined;
  const pipe = fileOf(stream, pid);
  // A child that inherits stderr could have that as its stdin.
  const shared = [0, 1, 2].some((fd) => fileOf(fd) === pipe);
  if (!pipe.startsWith("pipe:") || shared) return undefined;
  const lib = libc("open the pipe of a child");
  const mode = stream === 0 ? O_WRONLY : O_RDONLY;
  // The newest as a rule is among the last.
  const own = openDescriptors().findLast((fd) =>
    fileOf(fd) === pipe && (lib.fcntl!(fd, F_GETFL, 0n) & O_ACCMODE) === mode
  );
  if (own === undefined) return undefined;
  const path = cString(`/proc/self/fd/${own}`);
  const fd = lib.open!(path, mode | O_NONBLOCK | O_CLOEXEC, 0);
  return fd < 0 ? undefined : fd;
}
