import type { Connection, Duplex } from "../duplex.ts";
import { checkOneOf } from "../_async/check.ts";
import { intercept } from "./_intercept.ts";
import { MeterObserver } from "./_meter_observer.ts";
import type { MeterOptions } from "./meter_options.ts";
import type { Metered } from "./meter_snapshot.ts";

/**
 * Counts what passes: bytes, messages, errors, what waits to be sent, and how
 * long sending and answers take, with percentiles from a bounded histogram.
 *
 * Everything passes through unchanged. The meter takes the duplex over: use what
 * it returns in its place. Needs no permission.
 *
 * @param duplex A connection of any transport, or any pair of streams.
 * @param options How messages are told apart, and where else to count.
 * @returns The duplex or connection, with a `snapshot` method.
 * @throws {TypeError} If a stream is locked.
 *
 * @example Counters and latency
 * ```ts
 * import { channel, lengthPrefixed } from "@sluice/ipc/framing";
 * import { connectUnix, listenUnix } from "@sluice/ipc/socket";
 * import { meter } from "@sluice/ipc/observe";
 * import { assert, assertEquals } from "@std/assert";
 *
 * const path = `${await Deno.makeTempDir()}/a.sock`;
 * await using listener = await listenUnix({ path });
 * const connection = meter(await connectUnix({ path }), {
 *   format: lengthPrefixed(),
 *   exchanges: "sent",
 * });
 * await using client = channel<string, string>(connection);
 * await using server = channel<string, string>(await listener.accept());
 *
 * await client.send("ping");
 * await server.send(`${await server.receive()} pong`);
 * await client.receive();
 *
 * const { messagesSent, messagesReceived, exchange } = connection.snapshot();
 * assertEquals([messagesSent, messagesReceived, exchange.count], [1, 1, 1]);
 * assert(exchange.p99 > 0); // milliseconds
 * ```
 */
export function meter(
  duplex: Connection,
  options?: MeterOptions,
): Connection & Metered;
/**
 * Meters a duplex that is no connection: a pair of streams, a child's stdio.
 *
 * @param duplex Any pair of streams.
 * @param options How messages are told apart, and where else to count.
 * @returns The duplex, with a `snapshot` method.
 * @throws {TypeError} If a stream is locked.
 */
export function meter(
  duplex: Duplex,
  options?: MeterOptions,
): Duplex & Metered;
export function meter(
  duplex: Duplex,
  options: MeterOptions = {},
): Duplex & Metered {
  if (options.exchanges !== undefined) {
    checkOneOf("exchanges", options.exchanges, ["sent", "received"]);
  }
  const observer = new MeterObserver(options);
  const metered = intercept(duplex, observer);
  observer.opened();
  return Object.assign(metered, { snapshot: () => observer.snapshot() });
}
