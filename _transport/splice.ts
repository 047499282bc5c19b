import type { Connection, Duplex } from "../duplex.ts";
import { checkInteger } from "../_async/check.ts";
import { SinkTask } from "./connection.ts";
import { Mover } from "./mover.ts";

/** What one read takes, in bytes. A full one says that more is there. */
const READ_SIZE = 16 * 1024;

/** Options of {@linkcode splice}. */
export interface SpliceOptions {
  /**
   * The most to pass on, in bytes; what follows stays unread. Without it, all
   * that comes until the sender's end.
   */
  length?: number;
  /**
   * Whether to leave the receiver's stream open at the sender's end.
   *
   * @default {false}
   */
  preventClose?: boolean;
  /** Ends the wait: it rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** What {@linkcode splice} did. */
export interface SpliceResult {
  /** How many bytes were passed on. */
  readonly bytes: number;
  /** How many of them the kernel moved, without a copy in this process. */
  readonly moved: number;
}

/**
 * Passes on all that `from` receives to `to`, in order and at the pace of the
 * slower side.
 *
 * On Linux, with `--allow-ffi`, between TCP and Unix sockets of this package,
 * the kernel moves the bytes through a pipe (splice(2)) wherever more than
 * 16 KiB are there at once. Small messages, and any other streams, are read and
 * written. So it always works, and what it costs differs.
 *
 * Needs no permission of its own.
 *
 * @param from Where bytes come from. Its `readable` may not be locked.
 * @param to Where they go to. Its `writable` may not be locked.
 * @param options How much, how it ends, and a signal.
 * @returns How many bytes were passed on, and how many of them by the kernel.
 * @throws {TypeError} If a stream is locked.
 * @throws {RangeError} If `length` is negative.
 * @throws {ConnectionClosedError} If either connection is lost. Neither stream
 * is closed then: that is for the caller to do, or see
 * {@linkcode spliceConnections}.
 *
 * @example Passing on an upload
 * ```ts
 * import { connectTcp, listenTcp, splice } from "@sluice/ipc/tcp";
 * import { assertEquals } from "@std/assert";
 *
 * await using listener = await listenTcp();
 * await using source = await connectTcp(listener);
 * await using from = await listener.accept();
 * await using to = await connectTcp(listener);
 * await using sink = await listener.accept();
 *
 * const writer = source.writable.getWriter();
 * writer.write(new Uint8Array(100_000));
 * writer.close();
 * const received = new Response(sink.readable as BodyInit).bytes();
 * assertEquals((await splice(from, to)).bytes, 100_000);
 * assertEquals((await received).length, 100_000);
 * ```
 */
export async function splice(
  from: Pick<Duplex, "readable">,
  to: Pick<Duplex, "writable">,
  options: SpliceOptions = {},
): Promise<SpliceResult> {
  const { length = Infinity, preventClose = false, signal } = options;
  if (length !== Infinity) checkInteger("length", length, 0);
  signal?.throwIfAborted();
  if (from.readable.locked || to.writable.locked) {
    throw new TypeError(
      `Cannot splice: the ${from.readable.locked ? "readable" : "writable"} ` +
        `is locked, release its ${
          from.readable.locked ? "reader" : "writer"
        } first`,
    );
  }
  const reader = openReader(from.readable, length);
  const writer = to.writable.getWriter();
  const onAbort = () => aborted.reject(signal?.reason);
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => {});
  signal?.addEventListener("abort", onAbort, { once: true });
  let mover: Mover | undefined;
  let looked = false; // finding descriptors costs: only for who sends much
  let bytes = 0;
  try {
    while (bytes < length) {
      const value = await Promise.race([
        reader.read(length - bytes),
        aborted.promise,
      ]);
      if (value === undefined) {
        if (!preventClose) await writer.close();
        break;
      }
      bytes += value.length;
      const full = value.length === READ_SIZE;
      await Promise.race([writer.write(value), aborted.promise]);
      if (!full) continue;
      if (!looked) mover = Mover.between(from, to);
      looked = true;
      if (mover === undefined) continue;
      bytes += await Promise.race([
        moveInTurn(mover, writer, length - bytes),
        aborted.promise,
      ]);
    }
    return { bytes, moved: mover?.moved ?? 0 };
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", onAbort);
    reader.release();
    writer.releaseLock();
    mover?.[Symbol.dispose]();
  }
}

/** Moves what is there, when the writes before it are done. */
async function moveInTurn(
  mover: Mover,
  writer: WritableStreamDefaultWriter<Uint8Array>,
  most: number,
): Promise<number> {
  let count = 0;
  const task = new SinkTask(async (io, progress) => {
    count = await mover.move(io, most, progress);
  });
  await writer.write(task as unknown as Uint8Array);
  mover.throwIfLost();
  return count;
}

interface Reader {
  /** The next bytes, at most as many; `undefined` at the end. */
  read(most: number): Promise<Uint8Array | undefined>;
  release(): void;
}

/** Reads into one buffer again and again where the stream can. */
function openReader(
  readable: ReadableStream<Uint8Array>,
  length: number,
): Reader {
  let byob: ReadableStreamBYOBReader | undefined;
  try {
    byob = readable.getReader({ mode: "byob" });
  } catch { // no byte stream
    if (length !== Infinity) {
      throw new TypeError(
        "Cannot splice a length: the readable is no byte stream",
      );
    }
    const reader = readable.getReader();
    return {
      read: async () => (await reader.read()).value,
      release: () => reader.releaseLock(),
    };
  }
  const reader = byob;
  return {
    async read(most) {
      const size = Math.min(READ_SIZE, most);
      const { value, done } = await reader.read(new Uint8Array(size));
      return done ? undefined : value;
    },
    release: () => reader.releaseLock(),
  };
}

/** What {@linkcode spliceConnections} did. */
export interface SpliceConnectionsResult {
  /** What went from the first connection to the second. */
  readonly forward: SpliceResult;
  /** What went back. */
  readonly backward: SpliceResult;
}

/**
 * Connects two connections to each other, as a proxy does: {@linkcode splice}
 * both ways. One side's end (half-close) is passed on and the other way goes on.
 * Both are closed when both ways are done, and aborted when either breaks.
 *
 * Needs no permission of its own. Either connection may be of any transport.
 *
 * @param first One connection.
 * @param second The other.
 * @param options `signal` aborts both connections.
 * @returns How many bytes went each way.
 * @throws {ConnectionClosedError} If either connection is lost.
 *
 * @example From a TCP port to a Unix socket
 * ```ts
 * import { connectTcp, listenTcp, spliceConnections } from "@sluice/ipc/tcp";
 * import { connectUnix, listenUnix } from "@sluice/ipc/socket";
 * import { assertEquals } from "@std/assert";
 *
 * const path = `${await Deno.makeTempDir()}/backend.sock`;
 * await using backend = await listenUnix({ path });
 * await using front = await listenTcp();
 * await using client = await connectTcp(front);
 * const proxied = spliceConnections(
 *   await front.accept(),
 *   await connectUnix({ path }),
 * );
 *
 * await using server = await backend.accept();
 * const writer = client.writable.getWriter();
 * await writer.write(new TextEncoder().encode("hello"));
 * await writer.close();
 * await server.readable.pipeTo(server.writable); // an echo
 * assertEquals(await new Response(client.readable as BodyInit).text(), "hello");
 * assertEquals((await proxied).forward.bytes, 5);
 * ```
 */
export async function spliceConnections(
  first: Connection,
  second: Connection,
  options: { signal?: AbortSignal } = {},
): Promise<SpliceConnectionsResult> {
  const { signal } = options;
  const abort = (reason: unknown) => {
    first.abort(reason);
    second.abort(reason);
  };
  if (signal?.aborted) abort(signal.reason);
  const way = async (from: Connection, to: Connection) => {
    try {
      return await splice(from, to, { signal });
    } catch (error) {
      abort(error);
      throw error;
    }
  };
  const [forward, backward] = await Promise.allSettled([
    way(first, second),
    way(second, first),
  ]);
  signal?.throwIfAborted();
  if (forward.status === "rejected") throw forward.reason;
  if (backward.status === "rejected") throw backward.reason;
  await Promise.all([first.close(), second.close()]);
  return { forward: forward.value, backward: backward.value };
}
