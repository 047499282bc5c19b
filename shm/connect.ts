import { type Connection, ConnectionClosedError } from "../duplex.ts";
import { deadline } from "../_async/wait.ts";
import { descriptorOf, setDescriptor } from "../_libc/descriptor.ts";
import { retrying } from "../_transport/retry.ts";
import { connectAs, isTransient } from "../socket/_connect.ts";
import type { ConnectUnixOptions } from "../socket/connect.ts";
import { connectionOver } from "./_connection.ts";
import { checkRuns, requireFfi } from "./_platform.ts";
import { receiveSegment } from "./_handshake.ts";

/** Options of {@linkcode connectShm}. */
export interface ConnectShmOptions extends ConnectUnixOptions {
  /** The path of the rendezvous socket that {@linkcode listenShm} made. */
  path: string;
}

/** How often it connects anew where its own descriptor was not found. */
const TRIES = 5;

/**
 * Connects over shared memory to what {@linkcode listenShm} listens on. The
 * segment that the server sends is checked before use: that nobody can shrink
 * it, its size, and the headers in it.
 *
 * Requires `--allow-ffi`, `--allow-net=unix:<path>`, and `--allow-read` and
 * `--allow-write` for the path. Linux only.
 *
 * @param options The path and what bounds the wait.
 * @returns The open connection, a byte stream like any other.
 * @throws What `connectUnix` throws.
 * @throws {Deno.errors.InvalidData} If what answers is no server of this
 *   version, or its segment is not sealed or malformed.
 * @throws {ConnectionClosedError} If the server closes before its segment came:
 *   it may not allow this peer, or it ended, so `retry` tries again.
 * @throws {Deno.errors.NotCapable} Without `--allow-ffi`.
 * @throws {Deno.errors.NotSupported} Elsewhere than on Linux.
 *
 * @example A server that may not be up yet
 * ```ts
 * import { connectShm, listenShm } from "@sluice/ipc/shm";
 *
 * const path = `${await Deno.makeTempDir()}/a.sock`;
 * const connecting = connectShm({ path, retry: true, timeout: 5_000 });
 * await using listener = await listenShm({ path });
 * await using server = await listener.accept();
 * await using client = await connecting;
 * ```
 */
export async function connectShm(
  options: ConnectShmOptions,
): Promise<Connection> {
  const { path, timeout = 10_000, signal } = options;
  const address = `shm:${path}`;
  checkRuns(`connect to ${address}`);
  requireFfi(`connect to ${address}`);
  using end = deadline(`Cannot connect to ${address}`, { signal, timeout });
  return await retrying(
    () => connectOnce(options, address, end.signal),
    // Also a server that was killed while this one was in its backlog.
    (error) => error instanceof ConnectionClosedError || isTransient(error),
    options.retry,
    end.signal,
  );
}

async function connectOnce(
  options: ConnectShmOptions,
  address: string,
  signal: AbortSignal,
): Promise<Connection> {
  const socket = await connectSocket({
    ...options,
    signal,
    timeout: Infinity, // the signal has it
    retry: false,
    idleTimeout: undefined,
  }, address);
  try {
    const io = await receiveSegment(socket, signal);
    const connection = connectionOver(io, {
      ...options,
      local: "shm:",
      remote: address,
    });
    setDescriptor(connection, descriptorOf(socket)?.fd);
    return connection;
  } catch (error) {
    socket.abort();
    throw error;
  }
}

/** Another thread that opens a socket at the same moment hides ours. */
async function connectSocket(
  options: ConnectUnixOptions,
  address: string,
): Promise<Connection> {
  for (let tries = 1;; tries++) {
    const socket = await connectAs(options, address);
    if (descriptorOf(socket) !== undefined || tries === TRIES) return socket;
    socket.abort();
  }
}
