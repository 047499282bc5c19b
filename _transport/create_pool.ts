import type { Connection } from "../duplex.ts";
import { ConnectionPool } from "./connection_pool.ts";
import type { Pool, PoolOptions } from "./pool.ts";

/**
 * Keeps connections open and lends them out, so that a request need not wait for
 * a new one. Over TCP a new connection costs a round trip, over TLS two more and
 * the cryptography.
 *
 * Every wait is bounded, and so are connections and waiters. A connection that
 * breaks, while leased or idle, never goes back in; the next caller gets another
 * or a new one. So a server may go away and come back.
 *
 * Needs the permissions of `connect`.
 *
 * @typeParam C The kind of connection.
 * @param connect Opens a connection. Its `signal` fires when the pool gives up.
 * @param options Limits, times and the health check.
 * @returns The pool. It opens nothing before it has to, but for `min`.
 * @throws {RangeError} If an option is out of range, or `min` exceeds `max`.
 * @throws {TypeError} If `connect` is no function.
 *
 * @example Requests over few connections
 * ```ts
 * import {
 *   connectTcp,
 *   createPool,
 *   listenTcp,
 *   serveConnections,
 * } from "@sluice/ipc/tcp";
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
 * const pool = createPool(
 *   ({ signal }) => connectTcp({ port: listener.port, signal }),
 *   { max: 2 },
 * );
 * const echo = (byte: number) =>
 *   pool.use(async (connection) => {
 *     const writer = connection.writable.getWriter();
 *     await writer.write(new Uint8Array([byte]));
 *     writer.releaseLock();
 *     const reader = connection.readable.getReader();
 *     const { value } = await reader.read();
 *     reader.releaseLock();
 *     return value?.[0];
 *   });
 * assertEquals(await Promise.all([1, 2, 3, 4].map(echo)), [1, 2, 3, 4]);
 * assertEquals(pool.counters().opened, 2);
 *
 * await pool.drain();
 * stop.abort();
 * await served;
 * ```
 */
export function createPool<C extends Connection>(
  connect: (options: { signal: AbortSignal }) => Promise<C>,
  options: PoolOptions<C> = {},
): Pool<C> {
  return new ConnectionPool(connect, options);
}
