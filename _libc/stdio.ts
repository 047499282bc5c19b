// Closes this process's stdout for good: the runtime keeps copies of it.

import { O_CLOEXEC, O_WRONLY } from "./constants.ts";
import { openDescriptors } from "./descriptor.ts";
import { fileOf } from "./file.ts";
import { cString, hasLibc, libc } from "./library.ts";

/**
 * Puts `/dev/null` in the place of every copy of stdout, so that its reader
 * sees the end. `false` where it can't be: without FFI, or where stderr is the
 * same file.
 */
export function endStdout(): boolean {
  if (Deno.build.os !== "linux" || !hasLibc()) return false;
  const lib = libc("close stdout");
  const target = fileOf(1);
  // Only what has another end is worth it, and only with stderr apart.
  if (!/^(pipe|socket):/.test(target) || target === fileOf(2)) return false;
  // A socket may be stdin, too: then its reading half would end as well.
  if (target === fileOf(0)) return false;
  const nothing = lib.open!(cString("/dev/null"), O_WRONLY | O_CLOEXEC, 0);
  if (nothing < 0) return false;
  try {
    for (const fd of openDescriptors()) {
      if (fd !== nothing && fileOf(fd) === target) {
        lib.dup3!(nothing, fd, fd === 1 ? 0 : O_CLOEXEC);
      }
    }
    return true;
  } finally {
    lib.close!(nothing);
  }
}
