import { checkFunction } from "../_async/check.ts";
import { ReconnectingClient } from "./_reconnecting.ts";
import type {
  ReconnectingChannel,
  ReconnectingChannelOptions,
} from "./reconnecting_types.ts";
import type { Connector } from "./reliable_types.ts";

/**
 * Opens a channel that connects again whenever its connection is lost or the
 * server ends it, whatever the server speaks. Receivers go on waiting, and
 * senders wait for the next connection.
 *
 * A stream of bytes can't go on over another connection: what was on its way is
 * gone, and nobody knows how much of it arrived. So each connection starts with a
 * whole frame, and a frame that was cut in half is dropped and reported to
 * `onDisconnect`: messages arrive at most once. Where each has to arrive, use
 * {@linkcode reliableChannel} on both sides.
 *
 * Needs the permissions of `connect`.
 *
 * @example A server that restarts
 * ```ts
 * import { channel, connect, listen, reconnectingChannel } from "@sluice/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * await using listener = await listen("tcp:127.0.0.1:0");
 * await using client = reconnectingChannel<string>(
 *   ({ signal }) => connect(listener.address, { signal }),
 *   { onConnect: (channel) => channel.send("subscribe") },
 * );
 *
 * for (const news of ["first", "second"]) {
 *   await using server = channel<string>(await listener.accept());
 *   assertEquals(await server.receive(), "subscribe");
 *   await server.send(news);
 *   assertEquals(await client.receive(), news); // over whichever connection
 * }
 * ```
 *
 * @typeParam In The messages that the server sends.
 * @typeParam Out The messages for the server.
 * @param connect Opens a connection; called again after each loss.
 * @param options How to reconnect, hooks, and the options of `channel`.
 * @returns The channel, at once: messages wait until there is a connection.
 * @throws {RangeError} If an option is out of range.
 */
export function reconnectingChannel<In = unknown, Out = In>(
  connect: Connector,
  options: ReconnectingChannelOptions<In, Out> = {},
): ReconnectingChannel<In, Out> {
  checkFunction("connect", connect);
  return new ReconnectingClient(connect, options);
}
