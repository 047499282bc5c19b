// A socket, without waiting.

import { MSG_DONTWAIT, MSG_NOSIGNAL, POLLIN } from "./constants.ts";
import { libc } from "./library.ts";

/**
 * How many of `bytes` the socket took: 0 where there is no room, or where it is
 * broken, which the runtime's own write tells.
 */
export function sendNow(fd: number, bytes: Uint8Array): number {
  const count = Number(libc("send").send!(
    fd,
    bytes as Uint8Array<ArrayBuffer>,
    BigInt(bytes.byteLength),
    MSG_DONTWAIT | MSG_NOSIGNAL,
  ));
  return count > 0 ? count : 0;
}

// struct pollfd { int fd; short events; short revents; }
const entry = new DataView(new ArrayBuffer(8));
const entryBytes = new Uint8Array(entry.buffer);

/** Whether a read would find something now: bytes, the end, or an error. */
export function hasInput(fd: number): boolean {
  entry.setInt32(0, fd, true);
  entry.setInt16(4, POLLIN, true);
  entry.setInt16(6, 0, true);
  return libc("look for bytes").poll!(entryBytes, 1n, 0) !== 0;
}
