import {
  type Connection,
  ConnectionClosedError,
  type Listener,
  type WaitOptions,
} from "../duplex.ts";
import { sleep, within } from "../_async/wait.ts";
import { isListening } from "../_libc/descriptor.ts";
import { isAlive, startTimeOf } from "../_libc/process.ts";
import { AcceptListener } from "../_transport/listener.ts";
import { adoptListener, type AdoptListenerOptions } from "./_adopted.ts";
import { removePath } from "./_bind.ts";
import { checkLinux } from "./_numbers.ts";
import { peerCredentials } from "./peer.ts";
import { receiveDescriptor } from "./receive_descriptor.ts";
import { sendDescriptor } from "./send_descriptor.ts";

/** The first bytes of the message; the listener's address follows. */
const PREFIX = "listener ";
/** What the successor answers once the listener is its own. */
const TAKEN = 6; // ASCII ACK
const MAX_ADDRESS = 1024;
/** How long either side waits for the other, in milliseconds. */
const TIMEOUT = 10_000;
/** How long a process may take to die once its sockets are closed, in ms. */
const DEATH = 200;

/**
 * Hands a listener to another process, without losing a connection: the
 * successor gets the listening socket itself, and with it every connection that
 * waits in its backlog. Once it has said so, this process accepts no more. What
 * it had accepted before is still given out by `accept` and by iterating, which
 * then ends, and goes on as usual.
 *
 * If the successor fails or does not answer, it rejects and the listener goes on
 * as if nothing had been tried.
 *
 * Requires `--allow-ffi`. Linux only.
 *
 * @param listener What `listenTcp`, {@linkcode listenUnix},
 * {@linkcode inheritedListeners} or {@linkcode receiveListener} gave.
 * @param successor A Unix connection to a process that calls
 * {@linkcode receiveListener}. Its streams may not be locked.
 * @param options `timeout` (10 seconds by default) and `signal`.
 * @returns Resolves when the successor has it and this process accepts no more.
 * @throws {TypeError} If `listener` is not of this package, or `successor` no
 * Unix connection.
 * @throws {Deno.errors.NotSupported} If its descriptor can't be told, as of a
 * TLS listener, or elsewhere than on Linux.
 * @throws {ConnectionClosedError} If the successor goes away.
 * @throws {DOMException} `TimeoutError`, if it does not answer in time.
 * @throws {Deno.errors.InvalidData} If its answer is another.
 *
 * @example A new version takes over
 * ```ts
 * import {
 *   connectUnix,
 *   handOver,
 *   listenUnix,
 *   receiveListener,
 * } from "@sluice/ipc/socket";
 * import { assertEquals } from "@std/assert";
 *
 * const directory = await Deno.makeTempDir();
 * const old = await listenUnix({ path: `${directory}/service.sock` });
 * await using control = await listenUnix({ path: `${directory}/control.sock` });
 * await using client = await connectUnix({ path: `${directory}/control.sock` });
 *
 * await using server = await control.accept();
 *
 * // In the new process:
 * const receiving = receiveListener(client);
 * // In the old one:
 * await handOver(old, server);
 *
 * await using listener = await receiving;
 * assertEquals(listener.address, old.address);
 * await using connection = await connectUnix({
 *   path: `${directory}/service.sock`,
 * });
 * await using accepted = await listener.accept();
 * ```
 */
export async function handOver(
  listener: Listener,
  successor: Connection,
  options: WaitOptions = {},
): Promise<void> {
  const what = `Cannot hand over ${listener.address}`;
  const { timeout = TIMEOUT, signal } = options;
  checkLinux(what);
  if (!(listener instanceof AcceptListener)) {
    throw new TypeError(`${what}: it is no listener of tcp: or unix:`);
  }
  const fd = listener.descriptor();
  if (fd === undefined) {
    throw new Deno.errors.NotSupported(
      `${what}: its descriptor is not known, or it is closed`,
    );
  }
  const data = new TextEncoder().encode(`${PREFIX}${listener.address}`);
  await sendDescriptor(successor, fd, { data, signal });
  await within(readAnswer(successor, what), what, { timeout, signal });
  await listener.retire();
}

async function readAnswer(successor: Connection, what: string): Promise<void> {
  const reader = successor.readable.getReader({ mode: "byob" });
  try {
    const { value } = await reader.read(new Uint8Array(1));
    if (value === undefined || value.length === 0) {
      throw new ConnectionClosedError(`${what}: the successor went away`, {
        code: "ended",
      });
    }
    if (value[0] !== TAKEN) {
      throw new Deno.errors.InvalidData(
        `${what}: the successor answered with byte ${value[0]}`,
      );
    }
  } finally {
    reader.releaseLock();
  }
}

/** Options of {@linkcode receiveListener}. */
export interface ReceiveListenerOptions
  extends AdoptListenerOptions, WaitOptions {
  /**
   * The longest wait in milliseconds.
   *
   * @default {10000}
   */
  timeout?: number;
}

/**
 * Takes the listener that another process hands over with
 * {@linkcode handOver}. Accept from it soon: connections wait in its backlog.
 * Where the other process is killed amid this, the listener is this one's.
 *
 * Requires `--allow-ffi`; for a Unix socket also `--allow-read` and
 * `--allow-write` for its directory, as closing the listener removes it. Linux
 * only.
 *
 * @param predecessor A Unix connection to the process that has the listener.
 * @param options How its connections behave, who may connect, and what ends the
 * wait.
 * @returns The listener, with the address it always had.
 * @throws {Deno.errors.InvalidData} If something else comes.
 * @throws {ConnectionClosedError} If the predecessor goes away.
 * @throws {DOMException} `TimeoutError`, if it takes longer than `timeout`.
 * @throws {Deno.errors.NotSupported} Elsewhere than on Linux.
 *
 * @example As {@linkcode handOver} shows it
 * ```ts no-assert ignore
 * import {
 *   connectUnix,
 *   receiveListener,
 *   serveConnections,
 * } from "@sluice/ipc/socket";
 *
 * await using old = await connectUnix({ path: "/run/service-control.sock" });
 * await serveConnections(await receiveListener(old), async (connection) => {
 *   await connection.readable.pipeTo(connection.writable);
 * });
 * ```
 */
export async function receiveListener(
  predecessor: Connection,
  options: ReceiveListenerOptions = {},
): Promise<Listener> {
  const { timeout = TIMEOUT, signal } = options;
  const what = `Cannot receive a listener from ${predecessor.remote}`;
  const killed = watchProcess(predecessor);
  using message = await receiveDescriptor(predecessor, {
    timeout,
    signal,
    maxDescriptors: 1,
    maxLength: MAX_ADDRESS,
  });
  const [descriptor] = message.descriptors;
  const text = new TextDecoder().decode(message.data);
  if (!text.startsWith(PREFIX) || !isListening(descriptor.fd)) {
    throw new Deno.errors.InvalidData(`${what}: a ${descriptor.kind} came`);
  }
  const address = text.slice(PREFIX.length);
  const path = /^unix:([^@].*)$/s.exec(address)?.[1];
  const listener = adoptListener(
    descriptor.fd,
    options,
    () => descriptor.release(),
    { address, onClose: path === undefined ? undefined : watchPath(path) },
  );
  try {
    const writer = predecessor.writable.getWriter();
    await writer.write(new Uint8Array([TAKEN]));
    writer.releaseLock();
  } catch (error) {
    // Where it lives it goes on, and the path is still its own.
    if (!await killed()) {
      await listener.retire();
      throw error;
    }
  }
  return listener;
}

/** Tells later whether the process at the other end is dead. */
function watchProcess(connection: Connection): () => Promise<boolean> {
  checkLinux("Cannot receive a listener");
  const { pid } = peerCredentials(connection);
  // Without a start time, which it has no more once it is dead, the pid must do.
  const startTime = startTimeOf(pid) ?? 0n;
  return async () => {
    if (pid === 0) return false; // it is of a pid namespace that hides it
    // Its sockets close a moment before it counts as dead.
    for (let waited = 0; waited < DEATH; waited += 5) {
      if (!isAlive({ pid, startTime })) return true;
      await sleep(5);
    }
    return false;
  };
}

/** Removes the path at the end, if it is still the same file. */
function watchPath(path: string): () => Promise<void> {
  const own = Deno.lstatSync(path);
  return async () => {
    if (own.isSocket) await removePath(path, `unix:${path}`, own);
  };
}
