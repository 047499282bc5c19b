// What a path must be before a FIFO is made or opened there.

import { checkString } from "../_async/check.ts";
import { libc } from "../_libc/library.ts";

/** PIPE_BUF of <limits.h>: what one write(2) puts into a pipe in one piece. */
export const PIPE_BUF = Deno.build.os === "linux" ? 4096 : 512;

/** Throws where there are no FIFOs, no FFI or no such path. */
export function checkFifo(feature: string, path: string): void {
  checkString("path", path);
  if (Deno.build.os === "windows") {
    throw new Deno.errors.NotSupported(
      `Cannot ${feature}: FIFOs are not available on windows, use ` +
        `tcp:127.0.0.1 instead`,
    );
  }
  libc(feature);
}

/** Throws where `info` is no FIFO. */
export function checkIsFifo(what: string, info: Deno.FileInfo): void {
  if (info.isFifo) return;
  const kind = info.isFile
    ? "a regular file"
    : info.isDirectory
    ? "a directory"
    : info.isSocket
    ? "a socket"
    : "another kind of file";
  throw new Deno.errors.InvalidData(
    `${what}: the path is ${kind} and no FIFO, use another path`,
  );
}

/** The path's info, or an error that says how to get a FIFO. */
export function statFifo(what: string, path: string): Deno.FileInfo {
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw noFifo(what, error);
  }
  checkIsFifo(what, info);
  return info;
}

/** The error for a path where nothing is. */
export function noFifo(what: string, cause?: unknown): Error {
  return new Deno.errors.NotFound(
    `${what}: there is no such FIFO, make it with mkfifo`,
    { cause },
  );
}
