import type { Connection, WaitOptions } from "../duplex.ts";
import { checkInteger } from "../_async/check.ts";
import { deadline, sleep } from "../_async/wait.ts";
import { POLLERR } from "../_libc/constants.ts";
import { namedError } from "../_libc/errno.ts";
import {
  makeFifo,
  openEnd,
  pollNow,
  readNow,
  writeNow,
} from "../_libc/fifo.ts";
import { closeDescriptor } from "../_libc/pipe.ts";
import {
  type ByteStreamOptions,
  checkStreamOptions,
} from "../_transport/options.ts";
import { retrying, type RetryOptions } from "../_transport/retry.ts";
import { connectionOver, type PipePair } from "./_fifo_connection.ts";
import { removeQuietly } from "./_fifo_file.ts";
import { checkFifo, statFifo } from "./_fifo_path.ts";
import { openError, pauses } from "./_open_end.ts";
import {
  createToken,
  encodeRequest,
  pairPaths,
  VERSION,
} from "./_rendezvous.ts";

/** Options of {@linkcode connectFifo}. */
export interface ConnectFifoOptions extends WaitOptions, ByteStreamOptions {
  /** The path that {@linkcode listenFifo} listens on. */
  path: string;
  /**
   * The longest time for all tries together, in milliseconds.
   *
   * @default {10000}
   */
  timeout?: number;
  /**
   * Whether to try again while nothing listens at the path yet: `true` for the
   * defaults of {@linkcode RetryOptions}.
   *
   * @default {false}
   */
  retry?: RetryOptions | boolean;
  /**
   * The mode of the connection's own two FIFOs, which the listener opens. Their
   * names are there for some milliseconds and can't be guessed.
   *
   * @default {0o600}
   */
  mode?: number;
}

/**
 * Connects to what {@linkcode listenFifo} listens on, over a pair of FIFOs that
 * it makes beside the path. Their names are gone again when it returns.
 *
 * Requires `--allow-ffi`, and `--allow-read` and `--allow-write` for the path's
 * directory.
 *
 * @param options The path and what bounds the wait.
 * @returns The open connection.
 * @throws {Deno.errors.NotFound} If there is nothing at the path.
 * @throws {Deno.errors.ConnectionRefused} If nothing listens there any more.
 * @throws {Deno.errors.InvalidData} If the path is no FIFO, or what listens is of
 * another version.
 * @throws {Deno.errors.PermissionDenied} If the FIFO's mode forbids it, or files
 * can't be made in its directory.
 * @throws {DOMException} `TimeoutError`, if it takes longer than `timeout`.
 * @throws {Deno.errors.NotCapable} Without `--allow-ffi`.
 * @throws {Deno.errors.NotSupported} On Windows.
 *
 * @example Waiting for a server that is just starting
 * ```ts
 * import { connectFifo, listenFifo } from "@sluice/ipc/pipe";
 *
 * const path = `${await Deno.makeTempDir()}/a`;
 * const connecting = connectFifo({ path, retry: true });
 * await using listener = await listenFifo({ path });
 * await using connection = await connecting;
 * await using accepted = await listener.accept();
 * ```
 */
export async function connectFifo(
  options: ConnectFifoOptions,
): Promise<Connection> {
  const { path, timeout = 10_000, signal, mode = 0o600 } = options;
  const address = `fifo:${path}`;
  checkFifo(`connect to ${address}`, path);
  checkInteger("mode", mode, 0, 0o777);
  checkStreamOptions(options);
  const what = `Cannot connect to ${address}`;
  using end = deadline(what, { signal, timeout });
  const pair = await retrying(
    () => request(path, mode, what, end.signal),
    (error) =>
      error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.ConnectionRefused,
    options.retry,
    end.signal,
  );
  return await connectionOver(
    pair,
    { local: "fifo:", remote: address },
    options,
  );
}

/** Makes a pair, asks the listener to open it, and waits until it has. */
async function request(
  path: string,
  mode: number,
  what: string,
  signal: AbortSignal,
): Promise<PipePair> {
  signal.throwIfAborted();
  statListener(path, what);
  using opened = new DisposableStack();
  const own = (fd: number) => opened.adopt(fd, closeDescriptor);
  const listener = own(openListener(path, what));
  const token = createToken();
  const { up, down } = pairPaths(path, token);
  for (const name of [up, down]) {
    make(name, mode, what);
    opened.defer(() => removeQuietly(name));
  }
  using pair = new DisposableStack(); // what the connection takes over
  const ownPair = (fd: number) => pair.adopt(fd, closeDescriptor);
  const readFd = ownPair(open(down, "read", what));
  // Its own reader of `up` lets it open the writing end before the listener
  // reads, which so never sees an end that is none.
  own(open(up, "read", what));
  const writeFd = ownPair(open(up, "write", what));
  await send(listener, encodeRequest(token), what, signal);
  await answered(listener, readFd, what, signal);
  pair.move();
  return { readFd, writeFd };
}

function statListener(path: string, what: string): void {
  try {
    statFifo(what, path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Deno.errors.NotFound(
      `${what}: there is no such FIFO, is the server running?`,
      { cause: error },
    );
  }
}

function openListener(path: string, what: string): number {
  const fd = openEnd(path, "write");
  if (typeof fd === "number") return fd;
  throw fd === "ENXIO" ? refused(what) : openError(fd, what);
}

function refused(what: string): Error {
  return new Deno.errors.ConnectionRefused(
    `${what}: nothing listens there, the FIFO is stale`,
  );
}

function make(path: string, mode: number, what: string): void {
  try {
    makeFifo(path, mode, what);
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    throw new Deno.errors.PermissionDenied(
      `${what}: a client makes two FIFOs beside the path, and the directory's ` +
        `mode forbids it`,
      { cause: error },
    );
  }
  Deno.chmodSync(path, mode);
}

function open(path: string, end: "read" | "write", what: string): number {
  const fd = openEnd(path, end);
  if (typeof fd === "number") return fd;
  throw openError(fd, what);
}

async function send(
  listener: number,
  bytes: Uint8Array,
  what: string,
  signal: AbortSignal,
): Promise<void> {
  for (const pause of pauses()) {
    const count = writeNow(listener, bytes);
    if (typeof count === "number") return;
    if (count === "EPIPE") throw refused(what);
    if (count !== "EAGAIN") throw namedError(what, "write", count);
    await sleep(pause, signal); // more requests wait than the FIFO holds
  }
}

async function answered(
  listener: number,
  fd: number,
  what: string,
  signal: AbortSignal,
): Promise<void> {
  const byte = new Uint8Array(1);
  for (const pause of pauses()) {
    const count = readNow(fd, byte);
    if (count === 1) break;
    if (typeof count === "string" && count !== "EAGAIN") {
      throw namedError(what, "read", count);
    }
    if ((pollNow(listener) & POLLERR) !== 0) throw refused(what);
    await sleep(pause, signal);
  }
  if (byte[0] !== VERSION) {
    throw new Deno.errors.InvalidData(
      `${what}: the listener answered with version ${byte[0]}, expected ` +
        `${VERSION}`,
    );
  }
}
