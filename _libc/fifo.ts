// FIFOs: making one, opening its ends, and looking at an end without waiting.

import {
  F_GETPIPE_SZ,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  O_WRONLY,
} from "./constants.ts";
import { errno, errnoName, unwrap } from "./errno.ts";
import { cString, libc } from "./library.ts";

/** Makes a FIFO. The process's umask takes bits away from `mode`. */
export function makeFifo(path: string, mode: number, what: string): void {
  unwrap(libc("make a FIFO").mkfifo!(cString(path), mode), what, "mkfifo");
}

/**
 * Opens an end of a FIFO without waiting for the other one, or returns the
 * errno's name: `"ENXIO"` where nobody reads what is to be written.
 */
export function openEnd(
  path: string,
  end: "read" | "write",
  { follow = true }: { follow?: boolean } = {},
): number | string {
  const lib = libc("open a FIFO");
  const flags = (end === "read" ? O_RDONLY : O_WRONLY) | O_NONBLOCK |
    O_CLOEXEC | (follow ? 0 : O_NOFOLLOW);
  for (;;) {
    const fd = lib.open!(cString(path), flags, 0);
    if (fd >= 0) return fd;
    const code = errnoName();
    if (code !== "EINTR") return code;
  }
}

/** Whether `fd` is an end of a pipe, and no other kind of file. */
export function isPipe(fd: number): boolean {
  const lib = libc("look at a descriptor");
  if (Deno.build.os === "linux") return lib.fcntl!(fd, F_GETPIPE_SZ, 0n) >= 0;
  const ESPIPE = 29;
  return Number(lib.lseek!(fd, 0n, 1)) < 0 && errno() === ESPIPE;
}

/** The count, or the errno's name: `"EAGAIN"` where it would have to wait. */
export function readNow(
  fd: number,
  into: Uint8Array<ArrayBuffer>,
): number | string {
  const lib = libc("read from a FIFO");
  for (;;) {
    const count = Number(lib.read!(fd, into, BigInt(into.byteLength)));
    if (count >= 0) return count;
    const code = errnoName();
    if (code !== "EINTR") return code;
  }
}

/** The count, or the errno's name: `"EAGAIN"` where it would have to wait. */
export function writeNow(fd: number, bytes: Uint8Array): number | string {
  const lib = libc("write to a FIFO");
  for (;;) {
    const count = Number(
      lib.write!(
        fd,
        bytes as Uint8Array<ArrayBuffer>,
        BigInt(bytes.byteLength),
      ),
    );
    if (count >= 0) return count;
    const code = errnoName();
    if (code !== "EINTR") return code;
  }
}

/** What poll(2) says of `fd` right now. */
export function pollNow(fd: number): number {
  // struct pollfd { int fd; short events; short revents; }
  const entry = new DataView(new ArrayBuffer(8));
  entry.setInt32(0, fd, true);
  libc("look at a FIFO").poll!(new Uint8Array(entry.buffer), 1n, 0);
  return entry.getInt16(6, true);
}
