import { type Connection, ConnectionClosedError } from "../duplex.ts";
import type { WaitOptions } from "../duplex.ts";
import { checkInteger } from "../_async/check.ts";
import { yieldTurn } from "../_async/turn.ts";
import { deadline, sleep } from "../_async/wait.ts";
import type { Descriptor } from "../_libc/descriptor.ts";
import { libc } from "../_libc/library.ts";
import {
  MAX_DESCRIPTORS,
  type ReceivedMessage,
  receiveWithDescriptor,
} from "../_libc/rights.ts";
import type { ByteConnection } from "../_transport/connection.ts";
import { unixDescriptor } from "./_numbers.ts";
import { ReceivedDescriptor } from "./received_descriptor.ts";

/** How long the wait looks at every turn, then pauses at most, in ms. */
const EAGER = 2;
const MAX_PAUSE = 16;

/** Options of {@linkcode receiveDescriptor}. */
export interface ReceiveDescriptorOptions extends WaitOptions {
  /**
   * How many descriptors one message may bring. With more, all of them are
   * closed and the message is refused.
   *
   * @default {16}
   */
  maxDescriptors?: number;
  /**
   * How many bytes of the message to take at most. Further ones stay in the
   * stream.
   *
   * @default {4096}
   */
  maxLength?: number;
}

/** A message with descriptors. Disposing it closes those not taken. */
export interface DescriptorMessage extends Disposable {
  /** The bytes that came along. */
  readonly data: Uint8Array;
  /** At least one. They are this process' own now. */
  readonly descriptors: ReceivedDescriptor[];
}

/**
 * Waits for the next message of a Unix socket and takes the descriptors that
 * come with it. Call it where the protocol says that some come: a plain read
 * would have the kernel close them. All that was sent before has to be read, as
 * a message holds every byte up to its descriptors.
 *
 * They are closed on exec (`MSG_CMSG_CLOEXEC`), and those that nobody takes are
 * closed when the message is disposed or, at last, garbage-collected.
 *
 * The runtime can't wait without reading, so a longer wait looks again every
 * 16 ms.
 *
 * Requires `--allow-ffi`. Linux only.
 *
 * @param connection A Unix connection. Its `readable` may not be locked.
 * @param options Limits and what ends the wait.
 * @returns The bytes and the descriptors.
 * @throws {Deno.errors.InvalidData} If bytes come without a descriptor, or with
 * more than `maxDescriptors`. The connection goes on.
 * @throws {ConnectionClosedError} If the peer ends or loses the connection
 * (`"ended"`, `"lost"`), or it is closed here (`"closed"`).
 * @throws {TypeError} If it is no Unix connection or its `readable` is locked.
 * @throws {Deno.errors.Busy} If bytes were read that nobody took yet.
 * @throws {RangeError} If an option is out of range.
 * @throws {DOMException} `TimeoutError`, if it takes longer than `timeout`.
 * @throws {Deno.errors.NotCapable} Without `--allow-ffi`.
 * @throws {Deno.errors.NotSupported} Elsewhere than on Linux.
 *
 * @example A connection that another process accepted
 * ```ts no-assert ignore
 * import { connectUnix, receiveDescriptor } from "@sluice/ipc/socket";
 *
 * await using balancer = await connectUnix({ path: "/run/balancer.sock" });
 * using message = await receiveDescriptor(balancer, { timeout: 60_000 });
 * await using client = message.descriptors[0].connection();
 * await client.readable.pipeTo(client.writable);
 * ```
 */
export async function receiveDescriptor(
  connection: Connection,
  options: ReceiveDescriptorOptions = {},
): Promise<DescriptorMessage> {
  const { maxDescriptors = 16, maxLength = 4096 } = options;
  checkInteger("maxDescriptors", maxDescriptors, 1, MAX_DESCRIPTORS);
  checkInteger("maxLength", maxLength, 1, 1 << 24);
  const what = `Cannot receive a descriptor from ${connection.remote}`;
  const socket = unixDescriptor(connection, what);
  if (connection.readable.locked) {
    throw new TypeError(
      `${what}: the connection's readable is locked, release its reader first`,
    );
  }
  const { inputIsUntouched } = connection as ByteConnection;
  const reader = connection.readable.getReader();
  try {
    if (!inputIsUntouched) {
      await failIfEnded(connection, what);
      throw new Deno.errors.Busy(
        `${what}: a read of the connection is under way or left bytes behind`,
      );
    }
    using end = deadline(what, options);
    const data = new Uint8Array(maxLength);
    const received = await wait(
      socket,
      end.signal,
      () => receiveWithDescriptor(socket.fd, data, what, maxDescriptors),
    );
    (connection as ByteConnection).progress();
    return check(received, data, maxDescriptors, what);
  } catch (error) {
    if (error instanceof Deno.errors.BadResource) throw closed(what, error);
    if (error instanceof Deno.errors.ConnectionReset) {
      throw new ConnectionClosedError(`${what}: the connection was lost`, {
        code: "lost",
        cause: error,
      });
    }
    throw error;
  } finally {
    reader.releaseLock();
  }
}

async function wait(
  socket: Descriptor,
  signal: AbortSignal,
  attempt: () => ReceivedMessage | undefined,
): Promise<ReceivedMessage> {
  const started = performance.now();
  for (let pause = 1;;) {
    signal.throwIfAborted();
    const received = attempt();
    if (received !== undefined) return received;
    if (performance.now() - started < EAGER) {
      await yieldTurn();
    } else {
      await sleep(pause, signal);
      pause = Math.min(pause * 2, MAX_PAUSE);
    }
    socket.fd; // throws once it is closed
  }
}

function check(
  { count, descriptors, truncated }: ReceivedMessage,
  data: Uint8Array,
  maxDescriptors: number,
  what: string,
): DescriptorMessage {
  if (count === 0) {
    throw new ConnectionClosedError(`${what}: the peer ended the connection`, {
      code: "ended",
    });
  }
  if (truncated) {
    for (const fd of descriptors) libc(what).close!(fd);
    throw new Deno.errors.InvalidData(
      `${what}: a message brought more than maxDescriptors ${maxDescriptors}`,
    );
  }
  if (descriptors.length === 0) {
    throw new Deno.errors.InvalidData(
      `${what}: ${count} bytes came without one`,
    );
  }
  const received = descriptors.map((fd) => new ReceivedDescriptor(fd));
  return {
    data: data.slice(0, count),
    descriptors: received,
    [Symbol.dispose]() {
      for (const descriptor of received) descriptor.close();
    },
  };
}

/** A stream that is over has nothing left to wait for. */
async function failIfEnded(
  connection: Connection,
  what: string,
): Promise<void> {
  const pending = Symbol();
  const state = await Promise.race([
    connection.closed.then(() => undefined, (error: unknown) => error),
    yieldTurn().then(() => pending),
  ]);
  if (state !== pending) throw closed(what, state);
}

function closed(what: string, cause: unknown): ConnectionClosedError {
  return new ConnectionClosedError(`${what}: the connection is closed`, {
    code: "closed",
    cause,
  });
}
