// Descriptors along with some bytes over a Unix socket: SCM_RIGHTS.

import {
  MSG_CMSG_CLOEXEC,
  MSG_CTRUNC,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SCM_RIGHTS,
  SOL_SOCKET,
} from "./constants.ts";
import { errnoName, osError } from "./errno.ts";
import { libc } from "./library.ts";

/** sizeof(struct cmsghdr) on 64-bit Linux: u64 length, i32 level, i32 type. */
const CMSG_HEADER = 16;

/** The most that Linux carries in one message: SCM_MAX_FD. */
export const MAX_DESCRIPTORS = 253;

/** CMSG_SPACE of as many ints. */
function controlSpace(count: number): number {
  return CMSG_HEADER + Math.ceil(count * 4 / 8) * 8;
}

/** A struct msghdr of 64-bit Linux and all that it points to. */
class Message {
  readonly header = new Uint8Array(56);
  readonly control: Uint8Array<ArrayBuffer>;
  readonly controlView: DataView<ArrayBuffer>;
  #view = new DataView(this.header.buffer);
  #vector = new Uint8Array(16);

  constructor(bytes: Uint8Array<ArrayBuffer>, descriptors: number) {
    this.control = new Uint8Array(controlSpace(descriptors));
    this.controlView = new DataView(this.control.buffer);
    const vector = new DataView(this.#vector.buffer);
    vector.setBigUint64(0, address(bytes), true);
    vector.setBigUint64(8, BigInt(bytes.length), true);
    this.#view.setBigUint64(16, address(this.#vector), true);
    this.#view.setBigUint64(24, 1n, true);
    this.#view.setBigUint64(32, address(this.control), true);
    this.#view.setBigUint64(40, BigInt(this.control.length), true);
  }

  get flags(): number {
    return this.#view.getInt32(48, true);
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
  const sent = trySendWithDescriptors(fd, bytes, [descriptor], what);
  if (sent === undefined) throw osError(what, "sendmsg");
  if (sent !== bytes.length) {
    throw new Deno.errors.WriteZero(
      `${what}: sendmsg took ${sent} of ${bytes.length} bytes`,
    );
  }
}

/**
 * Sends some of `bytes`, and copies of the descriptors along with the first. The
 * count of bytes, or `undefined` where the socket is full.
 */
export function trySendWithDescriptors(
  fd: number,
  bytes: Uint8Array<ArrayBuffer>,
  descriptors: readonly number[],
  what: string,
): number | undefined {
  const message = new Message(bytes, descriptors.length);
  const length = BigInt(CMSG_HEADER + 4 * descriptors.length);
  message.controlView.setBigUint64(0, length, true);
  message.controlView.setInt32(8, SOL_SOCKET, true);
  message.controlView.setInt32(12, SCM_RIGHTS, true);
  for (const [index, descriptor] of descriptors.entries()) {
    message.controlView.setInt32(16 + 4 * index, descriptor, true);
  }
  const sent = Number(
    libc(what).sendmsg!(fd, message.header, MSG_DONTWAIT | MSG_NOSIGNAL),
  );
  if (sent >= 0) return sent;
  const code = errnoName();
  if (code === "EAGAIN" || code === "EINTR") return undefined;
  throw osError(what, "sendmsg");
}

/** What one `recvmsg` brought. Its descriptors belong to the caller. */
export interface ReceivedMessage {
  /** Bytes written to the buffer; 0 at the end of the stream. */
  count: number;
  descriptors: number[];
  /** Whether there were more, which the kernel closed. */
  truncated: boolean;
}

/** Receives without waiting; `undefined` where nothing is there yet. */
export function receiveWithDescriptor(
  fd: number,
  into: Uint8Array<ArrayBuffer>,
  what: string,
  most = 1,
): ReceivedMessage | undefined {
  const message = new Message(into, most);
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
    const length = Math.min(
      Number(view.getBigUint64(0, true)),
      message.control.length,
    );
    for (let at = CMSG_HEADER; at + 4 <= length; at += 4) {
      descriptors.push(view.getInt32(at, true));
    }
  }
  const truncated = (message.flags & MSG_CTRUNC) !== 0;
  return { count, descriptors, truncated };
}
