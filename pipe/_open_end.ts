// Opening one end of a FIFO and waiting for the other without holding a thread.

import { sleep } from "../_async/wait.ts";
import { namedError } from "../_libc/errno.ts";
import { isPipe, openEnd, pollNow, readNow } from "../_libc/fifo.ts";
import { POLLHUP } from "../_libc/constants.ts";
import { closeDescriptor } from "../_libc/pipe.ts";
import { isSameFile } from "../_transport/same_file.ts";
import { noFifo, statFifo } from "./_fifo_path.ts";

/** The longest pause between two looks for the other end, in ms. */
const MAX_PAUSE = 10;
/** How much the look for a writer may read. */
const FIRST_READ = 4096;

/**
 * How long to wait between looks, in ms. No kernel interface tells of an opener:
 * poll(2) stays silent until there are bytes, and inotify's IN_OPEN never
 * reaches `Deno.watchFs`. A look costs some microseconds.
 */
export function* pauses(): Generator<number, never> {
  for (let pause = 0;; pause = Math.min(MAX_PAUSE, pause * 2 || 1)) yield pause;
}

/** Opens for writing as soon as a reader is there. */
export async function openForWriting(
  path: string,
  what: string,
  signal: AbortSignal,
): Promise<number> {
  for (const pause of pauses()) {
    signal.throwIfAborted();
    statFifo(what, path); // opening a device could do something
    const fd = openEnd(path, "write");
    if (typeof fd === "number") return checkPipe(fd, what);
    if (fd !== "ENXIO") throw openError(fd, what);
    await sleep(pause, signal);
  }
  throw undefined; // not reached
}

/** An end for reading whose first writer has come. */
export interface OpenedForReading {
  fd: number;
  /** What the look for a writer read. */
  first: Uint8Array | undefined;
}

/** Opens for reading at once, without waiting for a writer. */
export function openForReading(path: string, what: string): number {
  statFifo(what, path);
  const fd = openEnd(path, "read");
  if (typeof fd === "number") return checkPipe(fd, what);
  throw openError(fd, what);
}

/** Opens for reading, and waits for the first writer. */
export async function openForReadingFromWriter(
  path: string,
  what: string,
  signal: AbortSignal,
): Promise<OpenedForReading> {
  let own = statFifo(what, path);
  let fd = openForReading(path, what);
  try {
    const into = new Uint8Array(FIRST_READ);
    for (const pause of pauses()) {
      signal.throwIfAborted();
      const count = readNow(fd, into);
      if (typeof count === "string") {
        if (count === "EAGAIN") return { fd, first: undefined };
        throw namedError(what, "read", count);
      }
      if (count > 0) return { fd, first: into.subarray(0, count) };
      // Linux sets it only once a writer has come and gone.
      if (Deno.build.os === "linux" && (pollNow(fd) & POLLHUP) !== 0) {
        return { fd, first: undefined };
      }
      await sleep(pause, signal);
      const now = statFifo(what, path);
      if (!isSameFile(own, now)) { // replaced: no writer finds the old one
        own = now;
        closeDescriptor(fd);
        fd = -1;
        fd = openForReading(path, what);
      }
    }
    throw undefined; // not reached
  } catch (error) {
    if (fd >= 0) closeDescriptor(fd);
    throw error;
  }
}

function checkPipe(fd: number, what: string): number {
  if (isPipe(fd)) return fd;
  closeDescriptor(fd);
  throw new Deno.errors.InvalidData(`${what}: the path is no FIFO`);
}

/** The error for an errno's name of open(2). */
export function openError(code: string, what: string): Error {
  if (code === "ENOENT") return noFifo(what);
  if (code === "EACCES") {
    return new Deno.errors.PermissionDenied(
      `${what}: the file's mode forbids it`,
    );
  }
  return namedError(what, "open", code);
}
