// Pipes made by the kernel, and how much they hold.

import {
  F_GETPIPE_SZ,
  F_SETPIPE_SZ,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
  POLLIN,
} from "./constants.ts";
import { errno, errnoName, osError, unwrap } from "./errno.ts";
import { cString, hasLibc, libc } from "./library.ts";
import { checkInteger } from "../_async/check.ts";

const POLLHUP = 16;

/** The two ends of a pipe: descriptors that the caller closes. */
export interface PipeEnds {
  read: number;
  write: number;
}

/** Where the kernel says how much a pipe of an ordinary user may hold. */
const MAX_SIZE_PATH = "/proc/sys/fs/pipe-max-size";

/** Whether {@linkcode createPipe} works here, without asking the user. */
export function hasPipes(): boolean {
  return Deno.build.os === "linux" && hasLibc();
}

/** A pipe whose ends no child inherits unless it is given one. */
export function createPipe(what: string): PipeEnds {
  const ends = new Int32Array(2);
  unwrap(
    pipeCall(what).pipe2!(new Uint8Array(ends.buffer), O_CLOEXEC),
    what,
    "pipe2",
  );
  return { read: ends[0], write: ends[1] };
}

/** Closes a descriptor that this package opened. */
export function closeDescriptor(fd: number): void {
  // Not repeated after EINTR: the number may be another file's by then.
  libc("close a descriptor").close?.(fd);
}

/** How many bytes the pipe `fd` holds. */
export function getPipeCapacity(fd: number): number {
  const what = "Cannot read the capacity of a pipe";
  return unwrap(
    pipeCall(what).fcntl!(fd, F_GETPIPE_SZ, 0n),
    what,
    "fcntl(F_GETPIPE_SZ)",
  );
}

/**
 * Makes the pipe `fd` hold at least `bytes`, and returns what it holds now: the
 * kernel rounds up to a power of two of pages.
 */
export function setPipeCapacity(fd: number, bytes: number): number {
  checkInteger("pipeCapacity", bytes, 1, 2 ** 31);
  const what = `Cannot set the capacity of a pipe to ${bytes} bytes`;
  const result = pipeCall(what).fcntl!(fd, F_SETPIPE_SZ, BigInt(bytes));
  if (result >= 0) return result;
  const code = errno();
  const error = osError(what, "fcntl(F_SETPIPE_SZ)", code);
  const name = errnoName(code);
  if (name === "EPERM") {
    error.message += `, the limit is in ${MAX_SIZE_PATH}${readLimit()}`;
  } else if (name === "EBUSY") {
    error.message += ", the pipe holds more than that right now";
  } else if (name === "EINVAL") {
    error.message += `, no pipe takes that (see ${MAX_SIZE_PATH})`;
  }
  throw error;
}

/**
 * Opens a pipe that a child has as its `descriptor` once more, for the caller to
 * close. `undefined` where the child is gone, or closed it.
 */
export function openChildPipe(
  pid: number,
  descriptor: 0 | 1 | 2,
): number | undefined {
  const fd = pipeCall("Cannot open the pipe of a child").open!(
    cString(`/proc/${pid}/fd/${descriptor}`),
    O_RDONLY | O_NONBLOCK | O_CLOEXEC,
    0,
  );
  return fd < 0 ? undefined : fd;
}

/** Sets the capacity of a pipe that a child has as its `descriptor`. */
export function setChildPipeCapacity(
  pid: number,
  descriptor: 0 | 1 | 2,
  bytes: number,
): void {
  const fd = openChildPipe(pid, descriptor);
  if (fd === undefined) return;
  try {
    setPipeCapacity(fd, bytes);
  } finally {
    closeDescriptor(fd);
  }
}

function readLimit(): string {
  try {
    return ` (${Deno.readTextFileSync(MAX_SIZE_PATH).trim()} bytes here)`;
  } catch { // not allowed to read it
    return "";
  }
}

function pipeCall(what: string): ReturnType<typeof libc> {
  const feature = what.replace(/^Cannot /, "");
  if (Deno.build.os !== "linux") {
    throw new Deno.errors.NotSupported(
      `${what}: only Linux offers it, this is ${Deno.build.os}`,
    );
  }
  return libc(feature);
}

/**
 * What becomes of the pipe that a child reads as its stdin:
 *
 * - `"ended"`: nothing writes to it any more, or it can't be looked at.
 * - `"busy"`: the child has not yet read what is there.
 * - `"silent"`: something could still write, and does not.
 */
export function childStdinState(pid: number): "ended" | "busy" | "silent" {
  const lib = pipeCall("Cannot look at a pipe");
  const fd = openChildPipe(pid, 0);
  if (fd === undefined) return "ended";
  try {
    if (lib.fcntl!(fd, F_GETPIPE_SZ, 0n) < 0) return "ended"; // another file
    // struct pollfd { int fd; short events; short revents; }
    const entry = new DataView(new ArrayBuffer(8));
    entry.setInt32(0, fd, true);
    entry.setInt16(4, POLLIN, true);
    lib.poll!(new Uint8Array(entry.buffer), 1n, 0);
    const events = entry.getInt16(6, true);
    if ((events & POLLIN) !== 0) return "busy";
    return (events & POLLHUP) !== 0 ? "ended" : "silent";
  } finally {
    closeDescriptor(fd);
  }
}
