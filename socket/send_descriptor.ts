import type { Connection } from "../duplex.ts";
import { checkInteger, describe } from "../_async/check.ts";
import { sleep, within } from "../_async/wait.ts";
import { F_DUPFD_CLOEXEC } from "../_libc/constants.ts";
import { unwrap } from "../_libc/errno.ts";
import { libc } from "../_libc/library.ts";
import { MAX_DESCRIPTORS, trySendWithDescriptors } from "../_libc/rights.ts";
import type { ByteConnection } from "../_transport/connection.ts";
import { runInTurn, writeAll } from "../_transport/raw.ts";
import { numberOf, unixDescriptor } from "./_numbers.ts";
import type { Sendable } from "./sendable.ts";

/** The longest pause between two looks at a full socket, in milliseconds. */
const MAX_PAUSE = 16;

/** Options of {@linkcode sendDescriptor}. */
export interface SendDescriptorOptions {
  /**
   * Bytes that go along, at least one: they are all that a peer sees that does
   * not expect a descriptor. The descriptors go with the first byte.
   *
   * @default {new Uint8Array(1)}
   */
  data?: Uint8Array;
  /** Ends the wait: it rejects with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * Sends copies of open descriptors to the process at the other end of a Unix
 * socket (`SCM_RIGHTS`, unix(7)): files, sockets, listeners, pipes, memory. What
 * was written before goes first. Both processes then have the same open file,
 * with one position and one set of flags; close yours when you don't need it.
 *
 * No bytes are added: any program that calls recvmsg(2), such as Python's
 * `socket.recv_fds`, gets `data` and the descriptors. A peer that reads as usual
 * gets `data`, and the kernel closes the descriptors.
 *
 * A connection is sent as the kernel has it: what this process has read of it,
 * or not written yet, does not go along. Keep yours open, and leave it alone,
 * until the receiver is done: the runtime shuts a socket down when it closes it,
 * and so for every process that has it. Listeners may be closed at once.
 *
 * Requires `--allow-ffi`. Linux only.
 *
 * @param connection A Unix connection. Its `writable` may not be locked.
 * @param descriptors One or up to 253 (`SCM_MAX_FD`).
 * @param options Bytes to go along, and a signal.
 * @returns Resolves when the kernel has taken them.
 * @throws {TypeError} If it is no Unix connection, its `writable` is locked, or
 * one of the descriptors is none.
 * @throws {RangeError} If there are none or too many, or `data` is empty.
 * @throws {Deno.errors.BadResource} If a descriptor is not open.
 * @throws {Deno.errors.NotSupported} If a descriptor is not known, as of a TLS
 * connection, whose socket carries other bytes, or elsewhere than on Linux.
 * @throws {Deno.errors.NotCapable} Without `--allow-ffi`.
 * @throws {ConnectionClosedError} If the connection is closed or lost.
 *
 * @example Opening a file for another process
 * ```ts
 * import {
 *   connectUnix,
 *   listenUnix,
 *   receiveDescriptor,
 *   sendDescriptor,
 * } from "@sluice/ipc/socket";
 * import { assertEquals } from "@std/assert";
 *
 * const directory = await Deno.makeTempDir();
 * await Deno.writeTextFile(`${directory}/secret`, "hello");
 * await using listener = await listenUnix({ path: `${directory}/a.sock` });
 * await using client = await connectUnix({ path: `${directory}/a.sock` });
 * await using server = await listener.accept();
 *
 * using file = await Deno.open(`${directory}/secret`);
 * await sendDescriptor(server, file);
 *
 * using message = await receiveDescriptor(client);
 * const [received] = message.descriptors;
 * assertEquals(received.kind, "file");
 * const text = await new Response(received.readable as BodyInit).text();
 * assertEquals(text, "hello");
 * ```
 */
export async function sendDescriptor(
  connection: Connection,
  descriptors: Sendable | readonly Sendable[],
  options: SendDescriptorOptions = {},
): Promise<void> {
  const { data = new Uint8Array(1), signal } = options;
  const what = `Cannot send descriptors to ${connection.remote}`;
  const list: Sendable[] = Array.isArray(descriptors)
    ? [...descriptors]
    : [descriptors as Sendable];
  checkInteger("number of descriptors", list.length, 1, MAX_DESCRIPTORS);
  if (!(data instanceof Uint8Array)) {
    throw new TypeError(
      `Invalid data: expected a Uint8Array, received ${describe(data)}`,
    );
  }
  if (data.length === 0) {
    throw new RangeError("Invalid data: expected at least 1 byte, received 0");
  }
  signal?.throwIfAborted();
  const socket = unixDescriptor(connection, what);
  const numbers = list.map((entry) => numberOf(entry, what));
  // Copies, as the owner may close its own before the kernel has taken them.
  const copies = new Copies(numbers, what);
  const bytes = data.slice();
  let refused: { error: unknown } | undefined;
  const work = runInTurn(
    connection as ByteConnection,
    what,
    async (io, progress) => {
      let sent: number | undefined;
      for (let pause = 1;; pause = Math.min(pause * 2, MAX_PAUSE)) {
        if (signal?.aborted) return;
        try {
          sent = trySendWithDescriptors(
            socket.fd,
            bytes,
            copies.numbers,
            what,
          );
        } catch (error) {
          if (isLoss(error)) throw error;
          refused = { error };
          return;
        }
        if (sent !== undefined) break;
        // Writing a byte in order to wait for room would send that byte.
        await sleep(pause);
      }
      progress();
      await writeAll(io, bytes.subarray(sent));
    },
  ).finally(() => copies.close());
  await within(work, what, { signal });
  if (refused !== undefined) throw refused.error;
}

function isLoss(error: unknown): boolean {
  return error instanceof Deno.errors.BadResource || // closed on this side
    error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.NotConnected;
}

/** Duplicates that are open until they are sent. */
class Copies {
  readonly numbers: number[] = [];
  #what: string;

  constructor(numbers: number[], what: string) {
    this.#what = what;
    const lib = libc(what);
    try {
      for (const fd of numbers) this.numbers.push(duplicate(fd, what));
    } catch (error) {
      for (const fd of this.numbers) lib.close!(fd);
      throw error;
    }
  }

  close(): void {
    for (const fd of this.numbers.splice(0)) libc(this.#what).close!(fd);
  }
}

function duplicate(fd: number, what: string): number {
  const copy = libc(what).fcntl!(fd, F_DUPFD_CLOEXEC, 0n);
  return unwrap(copy, `${what}: descriptor ${fd} is not open`, "fcntl");
}
