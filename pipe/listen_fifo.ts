import type { Connection, Listener } from "../duplex.ts";
import { ConnectionClosedError } from "../duplex.ts";
import { checkInteger } from "../_async/check.ts";
import { openEnd } from "../_libc/fifo.ts";
import { closeDescriptor } from "../_libc/pipe.ts";
import { AcceptListener } from "../_transport/listener.ts";
import { checkDirectory } from "../_transport/check_directory.ts";
import { lockPath } from "../_transport/lock_path.ts";
import {
  type ByteStreamOptions,
  checkStreamOptions,
} from "../_transport/options.ts";
import { connectionOver } from "./_fifo_connection.ts";
import { checkFifo } from "./_fifo_path.ts";
import { openError } from "./_open_end.ts";
import { ReadEnd } from "./_read_end.ts";
import {
  answer,
  removeDeadPairs,
  removeStalePairs,
  RequestReader,
} from "./_rendezvous.ts";
import { checkReplaceable, create } from "./_fifo_file.ts";
import { Fifo } from "./fifo.ts";

/** How often pairs of clients that were killed are looked for, in ms. */
const SWEEP = 60_000;

/** Options of {@linkcode listenFifo}. */
export interface ListenFifoOptions extends ByteStreamOptions {
  /** Where clients find this listener: a FIFO that it makes. */
  path: string;
  /**
   * The mode of the FIFO: who may connect needs the write bit, and has to be
   * able to make files in its directory. It is right from the first moment that
   * the path exists, whatever the umask.
   *
   * @default {0o600}
   */
  mode?: number;
  /**
   * How many connections are made before they are accepted. Further ones wait.
   *
   * @default {64}
   */
  backlog?: number;
  /**
   * Whether to listen in a directory where any user may replace the FIFO (mode
   * with `o+w` and no sticky bit, its own or of one above).
   *
   * @default {false}
   */
  allowUnsafeDirectory?: boolean;
  /** Ends the start: it rejects with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * Listens for connections over pairs of FIFOs, where a Unix socket can't be:
 * every connection gets a pipe each way. The FIFO at `path` takes the requests;
 * the names of a pair are there only while its connection is being made.
 *
 * A stale FIFO of a listener that was killed is replaced; where one listens it
 * is `AddrInUse`. Closing removes the file only if it is still this listener's.
 *
 * Requires `--allow-ffi`, and `--allow-read` and `--allow-write` for the path's
 * directory. Who else may write to the directory can put another FIFO there: use
 * one of your own. One that any user may change is refused.
 *
 * @param options The path, who may connect, and the backlog.
 * @returns The listener; closing it leaves accepted connections open.
 * @throws {Deno.errors.AddrInUse} If another process listens there.
 * @throws {Deno.errors.AlreadyExists} If the path is no FIFO.
 * @throws {Deno.errors.NotFound} If the directory does not exist.
 * @throws {Deno.errors.PermissionDenied} If the directory's mode forbids it, or
 * any user can write to it, or to one above it that may be read, and it has no
 * sticky bit.
 * @throws {RangeError} If an option is out of range.
 * @throws {Deno.errors.NotCapable} Without `--allow-ffi`.
 * @throws {Deno.errors.NotSupported} On Windows.
 *
 * @example Any number of clients
 * ```ts
 * import { connectFifo, listenFifo } from "@sluice/ipc/pipe";
 * import { assertEquals } from "@std/assert";
 *
 * const path = `${await Deno.makeTempDir()}/greeter`;
 * await using listener = await listenFifo({ path });
 * const [client, server] = await Promise.all([
 *   connectFifo({ path }), // in another process, as a rule
 *   listener.accept(),
 * ]);
 * const writer = client.writable.getWriter();
 * await writer.write(new TextEncoder().encode("hello"));
 * await writer.close();
 * assertEquals(await new Response(server.readable as BodyInit).text(), "hello");
 * await Promise.all([client.close(), server.close()]);
 * ```
 */
export async function listenFifo(
  options: ListenFifoOptions,
): Promise<Listener> {
  const { path, mode = 0o600, backlog = 64, signal } = options;
  const { allowUnsafeDirectory = false } = options;
  const address = `fifo:${path}`;
  checkFifo(`listen on ${address}`, path);
  checkInteger("mode", mode, 0, 0o777);
  checkInteger("backlog", backlog, 1, 4096);
  checkStreamOptions(options);
  signal?.throwIfAborted();
  const what = `Cannot listen on ${address}`;
  await checkDirectory(what, path, "FIFO", allowUnsafeDirectory);
  const bound = await bind(path, mode, what, signal);
  return new AcceptListener(
    address,
    new FifoAcceptor(bound, address, backlog, options),
  );
}

interface Bound {
  fifo: Fifo;
  requests: ReadEnd;
  /** The listener's own writing end: without it, each client's end is an end. */
  keeper: number;
}

async function bind(
  path: string,
  mode: number,
  what: string,
  signal: AbortSignal | undefined,
): Promise<Bound> {
  let readFd = -1;
  let keeper = -1;
  const open = (at: string, end: "read" | "write") => {
    const fd = openEnd(at, end);
    if (typeof fd === "string") throw openError(fd, what);
    return fd;
  };
  try {
    using _lock = await lockPath(what, path, signal);
    checkNotLive(path, what);
    removeStalePairs(path);
    const own = create(path, mode, what, (from, to) => {
      // Both ends are open before the name is there: no client finds it dead.
      readFd = open(from, "read");
      keeper = open(from, "write");
      Deno.renameSync(from, to);
    });
    const requests = await ReadEnd.adopt(readFd, what);
    return { fifo: new Fifo(path, own!), requests, keeper };
  } catch (error) {
    if (readFd >= 0) closeDescriptor(readFd);
    if (keeper >= 0) closeDescriptor(keeper);
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Deno.errors.NotFound(
      `${what}: the directory of the path does not exist`,
      { cause: error },
    );
  }
}

function checkNotLive(path: string, what: string): void {
  try {
    checkReplaceable(path, what);
  } catch (error) {
    if (!(error instanceof Deno.errors.Busy)) throw error;
    throw new Deno.errors.AddrInUse(
      `${what}: another process listens there, stop it or use another path`,
      { cause: error },
    );
  }
}

/** Makes connections ahead of `accept`, as many as the backlog holds. */
class FifoAcceptor {
  #bound: Bound;
  #address: string;
  #backlog: number;
  #options: ListenFifoOptions;
  #made: (Connection | Error)[] = [];
  #wake = Promise.withResolvers<void>();
  #closed = false;
  #swept = -Infinity;

  constructor(
    bound: Bound,
    address: string,
    backlog: number,
    options: ListenFifoOptions,
  ) {
    this.#bound = bound;
    this.#address = address;
    this.#backlog = backlog;
    this.#options = options;
    bound.requests.keepAlive(false); // only who waits for a connection does
    this.#pump();
  }

  async #pump(): Promise<void> {
    const requests = new RequestReader(this.#bound.requests);
    while (!this.#closed) {
      if (this.#made.length >= this.#backlog) {
        await this.#wake.promise;
        continue;
      }
      try {
        const made = await this.#make(await requests.next());
        if (made === undefined) continue;
        if (this.#closed) made.abort();
        else this.#made.push(made);
      } catch (error) {
        if (this.#closed) return;
        this.#made.push(error as Error);
      }
      this.#signal();
    }
  }

  async #make(token: string): Promise<Connection | undefined> {
    const { path } = this.#options;
    if (performance.now() - this.#swept > SWEEP) {
      this.#swept = performance.now();
      try {
        removeDeadPairs(path);
      } catch { // such as no descriptor left: nothing that a client needs
      }
    }
    const pair = answer(path, token, `Cannot accept on ${this.#address}`);
    if (pair === undefined) return undefined;
    const addresses = { local: this.#address, remote: "fifo:" };
    return await connectionOver(pair, addresses, this.#options);
  }

  /** Something was made, taken or closed. */
  #signal(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  async accept(): Promise<Connection> {
    const { requests } = this.#bound;
    requests.keepAlive(true);
    while (this.#made.length === 0 && !this.#closed) await this.#wake.promise;
    requests.keepAlive(false);
    const made = this.#made.shift();
    this.#signal();
    if (made === undefined) {
      throw new ConnectionClosedError(
        `Cannot accept on ${this.#address}: the listener is closed`,
        { code: "closed" },
      );
    }
    if (made instanceof Error) throw made;
    return made;
  }

  keepAlive(on: boolean): void {
    this.#bound.requests.keepAlive(on);
  }

  async close(): Promise<void> {
    const { fifo, requests, keeper } = this.#bound;
    this.#closed = true;
    this.#signal();
    requests.close();
    closeDescriptor(keeper);
    for (const made of this.#made.splice(0)) {
      if (!(made instanceof Error)) made.abort();
    }
    try {
      // A newer listener puts its FIFO in place under the same lock.
      using _lock = await lockPath(
        `Cannot close ${this.#address}`,
        fifo.path,
        undefined,
      );
      if (fifo.remove()) removeStalePairs(fifo.path);
    } catch (error) {
      // The whole directory is gone already.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}
