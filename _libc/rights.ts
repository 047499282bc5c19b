// One descriptor along with some bytes over a Unix socket: SCM_RIGHTS.

import {
  MSG_CMSG_CLOEXEC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SCM_RIGHTS,
  SOL_SOCKET,
} from "./constants.ts";
import { errnoName, osError } from "./errno.ts";
import { libc } from "./library.ts";

/** sizeof(struct cmsghdr) on 64-bit Linux: u64 length, i32 level, i32 type. */
const CMSG_HEADER = 16;
/** CMSG_SPACE(sizeof(int)). */
const CMSG_SPACE = 24;

/** A struct msghdr of 64-bit Linux and all that it points to. */
class Message {
  readonly header = new Uint8Array(56);
  readonly control = new Uint8Array(CMSG_SPACE);
  readonly controlView = new DataView(this.control.buffer);
  #view = new DataView(this.header.buffer);
  #vector = new Uint8Array(16);

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    const vector = new DataView(this.#vector.buffer);
    vector.setBigUint64(0, address(bytes), true);
    vector.setBigUint64(8, BigInt(bytes.length), true);
    this.#view.setBigUint64(16, address(this.#vector), true);
    this.#view.setBigUint64(24, 1n, true);
    this.#view.setBigUint64(32, address(this.control), true);
    this.#view.setBigUint64(40, BigInt(CMSG_SPACE), true);
  }

  /** Bytes of control data that were received. */
  get controlLength(): number {
    return Number(this.#view.getBigUint64(40, true));
  }
}

function address(bytes: Uint8Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes));
}

/** Sends `bytes` and a copy of `descriptor` over the socket `fd`, at once. */
export function sendWithDescriptor(
  fd: number,
  bytes: Uint8Array<ArrayBuffer>,
  descriptor: number,
  what: string,
): void {
  const message = new Message(bytes);
  message.controlView.setBigUint64(0, BigInt(CMSG_HEADER + 4), true);
  message.controlView.setInt32(8, SOL_SOCKET, true);
  message.controlView.setInt32(12, SCM_RIGHTS, true);
  message.controlView.setInt32(16, descriptor, true);
  const sent = Number(
    libc(what).sendmsg!(fd, message.header, MSG_DONTWAIT | MSG_NOSIGNAL),
  );
  if (sent < 0) throw osError(what, "sendmsg");
  if (sent !== bytes.length) {
    throw new Deno.errors.WriteZero(
      `${what}: sendmsg took ${sent} of ${bytes.length} bytes`,
    );
  }
}

/** What one `recvmsg` brought. Its descriptors belong to the caller. */
export interface ReceivedMessage {
  /** Bytes written to the buffer; 0 at the end of the stream. */
  count: number;
  descriptors: number[];
}

/** Receives without waiting; `undefined` where nothing is there yet. */
export function receiveWithDescriptor(
  fd: number,
  into: Uint8Array<ArrayBuffer>,
  what: string,
): ReceivedMessage | undefined {
  const message = new Message(into);
  const count = Number(
    libc(what).recvmsg!(fd, message.header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC),
  );
  if (count < 0) {
    const code = errnoName();
    if (code === "EAGAIN" || code === "EINTR") return undefined;
    throw osError(what, "recvmsg");
  }
  const descriptors: number[] = [];
  const view = message.controlView;
  if (
    message.controlLength >= CMSG_HEADER + 4 &&
    view.getInt32(8, true) === SOL_SOCKET &&
    view.getInt32(12, true) === SCM_RIGHTS
  ) {
    // The kernel closes those that find no room here.
    const length = Math.min(Number(view.getBigUint64(0, true)), CMSG_SPACE);
    for (let at = CMSG_HEADER; at + 4 <= length; at += 4) {
      descriptors.push(view.getInt32(at, true));
    }
  }
  return { count, descriptors };
}
