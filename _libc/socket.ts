// Bytes to a socket without waiting.

import { MSG_DONTWAIT, MSG_NOSIGNAL } from "./constants.ts";
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
