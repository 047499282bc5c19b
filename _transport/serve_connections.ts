import type { Connection, Listener } from "../duplex.ts";
import { checkFunction, checkInteger, checkListener } from "../_async/check.ts";
import { checkTimeout, sleep } from "../_async/wait.ts";

/** What a connection's handler gets beside the connection. */
export interface ConnectionContext {
  /** Fires when the server stops: finish what is under way. */
  readonly signal: AbortSignal;
}

/** Options of {@linkcode serveConnections}. */
export interface ServeConnectionsOptions {
  /**
   * How many connections are handled at once. Further ones wait in the
   * listener's backlog.
   *
   * @default {1000}
   */
  maxConnections?: number;
  /** Stops the server: it accepts no more, then drains. */
  signal?: AbortSignal;
  /**
   * How long handlers may go on after `signal` fired, in milliseconds. Then
   * their connections are aborted.
   *
   * @default {10000}
   */
  graceTimeout?: number;
  /**
   * Told of a handler that threw, with its connection, and of a failed accept,
   * without one. What it throws is dropped.
   *
   * @default {console.error}
   */
  onError?: (error: unknown, connection?: Connection) => void;
}

/** The wait after a failed accept, such as for lack of descriptors, in ms. */
const ACCEPT_PAUSE = 50;
/** So many failures in a row end it: 5 seconds. */
const MAX_ACCEPT_FAILURES = 100;

/**
 * Accepts connections and runs `handler` for each, at the same time. Works with
 * any listener. A connection is closed when its handler returns and aborted
 * when it throws; neither touches another connection.
 *
 * Needs no permission of its own.
 *
 * @param listener Where connections come from. It is closed at the end.
 * @param handler Serves one connection.
 * @param options Limits, the signal that stops it, and the error hook.
 * @returns Resolves when the listener is closed and the last handler is done,
 * or, after `signal`, when the grace time is over.
 * @throws {TypeError} If `listener` or `handler` is none.
 * @throws {RangeError} If an option is out of range.
 * @throws What `accept` threw, if it failed 100 times in a row. For lack of
 * descriptors alone it does not end while a connection is open: it goes on
 * where one of them ends.
 *
 * @example An echo server that stops in order
 * ```ts
 * import { connectTcp, listenTcp, serveConnections } from "@sluice/ipc/tcp";
 * import { assertEquals } from "@std/assert";
 *
 * const stop = new AbortController();
 * const listener = await listenTcp();
 * const served = serveConnections(
 *   listener,
 *   (connection) => connection.readable.pipeTo(connection.writable),
 *   { signal: stop.signal },
 * );
 *
 * const connection = await connectTcp({ port: listener.port });
 * const writer = connection.writable.getWriter();
 * await writer.write(new Uint8Array([1, 2, 3]));
 * await writer.close();
 * const echoed = await new Response(connection.readable as BodyInit).bytes();
 * assertEquals(echoed.length, 3);
 * await connection.close();
 *
 * stop.abort();
 * await served;
 * ```
 */
export async function serveConnections(
  listener: Listener,
  handler: (
    connection: Connection,
    context: ConnectionContext,
  ) => Promise<void> | void,
  options: ServeConnectionsOptions = {},
): Promise<void> {
  checkListener(listener);
  checkFunction("handler", handler);
  const { maxConnections = 1000, signal, graceTimeout = 10_000 } = options;
  checkInteger("maxConnections", maxConnections, 1);
  checkTimeout("graceTimeout", graceTimeout);
  const report = (error: unknown, connection?: Connection) => {
    try {
      (options.onError ?? console.error)(error, connection);
    } catch { // a hook that throws must not end the server
    }
  };
  const stop = new AbortController();
  const running = new Map<Connection, Promise<void>>();
  let roomMade: (() => void) | undefined;

  const run = async (connection: Connection) => {
    try {
      await handler(connection, { signal: stop.signal });
      await connection.close();
    } catch (error) {
      connection.abort(error);
      report(error, connection);
    }
    running.delete(connection);
    roomMade?.();
  };

  const onStop = () => {
    stop.abort(signal?.reason);
    listener.close().catch(report);
    roomMade?.();
  };
  if (signal?.aborted) onStop();
  else signal?.addEventListener("abort", onStop, { once: true });

  let failures = 0;
  let failure: { error: unknown } | undefined;
  try {
    while (!stop.signal.aborted) {
      if (running.size >= maxConnections) {
        await new Promise<void>((resolve) => roomMade = resolve);
        continue;
      }
      try {
        const connection = await listener.accept();
        failures = 0;
        running.set(connection, run(connection));
      } catch (error) {
        if (stop.signal.aborted || isClosed(error)) break;
        report(error);
        // Its clients have all descriptors: there is room when one of them ends.
        const full = running.size > 0 && isOutOfDescriptors(error);
        if (!full && ++failures === MAX_ACCEPT_FAILURES) {
          failure = { error };
          break;
        }
        await sleep(ACCEPT_PAUSE);
      }
    }
    await drain(running, graceTimeout, stop.signal);
    if (failure !== undefined) throw failure.error;
  } finally {
    signal?.removeEventListener("abort", onStop);
    await listener.close();
  }
}

function isClosed(error: unknown): boolean {
  return error instanceof Error && error.name === "ConnectionClosedError";
}

function isOutOfDescriptors(error: unknown): boolean {
  const code = (error as { code?: unknown } | undefined)?.code;
  return code === "EMFILE" || code === "ENFILE";
}

/** Waits for the handlers; after the stop signal, only for the grace time. */
async function drain(
  running: Map<Connection, Promise<void>>,
  graceTimeout: number,
  stop: AbortSignal,
): Promise<void> {
  const all = Promise.allSettled(running.values());
  const finished = new AbortController();
  all.then(() => finished.abort());
  if (!stop.aborted) {
    await Promise.race([
      all,
      new Promise((resolve) =>
        stop.addEventListener("abort", resolve, {
          signal: finished.signal,
        })
      ),
    ]);
  }
  if (finished.signal.aborted || running.size === 0) return;
  await Promise.race([
    all,
    graceTimeout === Infinity
      ? all
      : sleep(graceTimeout, finished.signal).catch(() => {}),
  ]);
  for (const connection of running.keys()) {
    connection.abort(
      new DOMException(
        `Cannot finish ${connection.remote}: the server stopped and its ` +
          `grace time of ${graceTimeout} ms is over`,
        "TimeoutError",
      ),
    );
  }
}
