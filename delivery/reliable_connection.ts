import type { Connection, Listener } from "../duplex.ts";
import { checkFunction, checkListener } from "../_async/check.ts";
import { bytes } from "../framing/mod.ts";
import { ReliableClient } from "./_client.ts";
import { ReliableByteListener } from "./_reliable_byte_listener.ts";
import type { ReliableListenerOptions } from "./listener_types.ts";
import { SessionConnection } from "./_session_connection.ts";
import type { Connector, ReliableChannelOptions } from "./reliable_types.ts";

/** Options for {@linkcode reliableConnection}. */
export type ReliableConnectionOptions = Omit<
  ReliableChannelOptions<Uint8Array, Uint8Array>,
  "codec" | "validate" | "onInvalid" | "onSessionLost" | "acknowledge"
>;

/** Options for {@linkcode reliableConnections}. */
export type ReliableConnectionsOptions = Omit<
  ReliableListenerOptions<Uint8Array, Uint8Array>,
  "codec" | "validate" | "onInvalid" | "store" | "acknowledge"
>;

/**
 * Opens a {@linkcode Connection} that outlives the connections it is made of:
 * when one is lost, the stream of bytes goes on over the next where it stopped,
 * with no byte lost or doubled. So whatever stands on it goes on as well: a
 * `channel`, or a client of `@sluice/ipc/rpc` with its calls under way.
 *
 * The server has to take it by {@linkcode reliableConnections}. If it has
 * forgotten the session, the stream can't go on, and the connection is lost.
 *
 * Needs the permissions of `connect`.
 *
 * @example A channel that goes on
 * ```ts
 * import {
 *   channel,
 *   connect,
 *   type Connection,
 *   listen,
 *   reliableConnection,
 *   reliableConnections,
 * } from "@sluice/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * await using listener = reliableConnections(await listen("tcp:127.0.0.1:0"));
 * let last: Connection | undefined;
 * await using client = channel<string>(
 *   reliableConnection(async ({ signal }) =>
 *     last = await connect(listener.address, { signal })
 *   ),
 * );
 * await client.send("before");
 * await using server = channel<string>(await listener.accept());
 * assertEquals(await server.receive(), "before");
 *
 * last?.abort(); // as if the network broke
 * await client.send("after");
 * assertEquals(await server.receive(), "after");
 * ```
 *
 * @param connect Opens a connection; called again after each loss.
 * @param options How to reconnect, and what bounds memory and waits.
 * @returns The connection, at once: bytes wait until there is one.
 * @throws {RangeError} If an option is out of range.
 */
export function reliableConnection(
  connect: Connector,
  options: ReliableConnectionOptions = {},
): Connection {
  checkFunction("connect", connect);
  const { session } = new ReliableClient<Uint8Array, Uint8Array>(connect, {
    ...options,
    codec: bytes,
  }, { onlyOneSession: true });
  return new SessionConnection(session, "reliable:client", "reliable:server");
}

/**
 * Makes a {@linkcode Listener} of another one, whose connections outlive those
 * that they are made of: the server of {@linkcode reliableConnection}.
 *
 * @example Calls that survive a lost connection
 * ```ts
 * import {
 *   connect,
 *   listen,
 *   reliableConnection,
 *   reliableConnections,
 * } from "@sluice/ipc";
 * import { client, serve } from "@sluice/ipc/rpc";
 * import { assertEquals } from "@std/assert";
 *
 * const handlers = { add: (a: number, b: number) => a + b };
 * const listener = reliableConnections(await listen("tcp:127.0.0.1:0"));
 * await using _server = serve(listener, handlers);
 * await using calculator = client<typeof handlers>(
 *   reliableConnection(({ signal }) => connect(listener.address, { signal })),
 * );
 * assertEquals(await calculator.add(1, 2), 3);
 * ```
 *
 * @param listener Where connections come from. It is closed with this one.
 * @param options Limits and hooks.
 * @returns The listener.
 * @throws {RangeError} If an option is out of range.
 */
export function reliableConnections(
  listener: Listener,
  options: ReliableConnectionsOptions = {},
): Listener {
  checkListener(listener);
  return new ReliableByteListener(listener, options);
}
