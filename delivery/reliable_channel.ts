import { checkFunction, checkOneOf } from "../_async/check.ts";
import { ReliableClient } from "./_client.ts";
import type {
  Connector,
  ReliableChannel,
  ReliableChannelOptions,
} from "./reliable_types.ts";

/**
 * Opens a channel that outlives its connections. It connects, and connects again
 * when a connection is lost, with growing pauses; messages that were on their way
 * are sent again, in order, and none arrives twice at a receiver that lives.
 *
 * The server has to be a {@linkcode reliableListener}. For a server that speaks
 * any other protocol, {@linkcode reconnectingChannel} comes back by itself too,
 * but can't know what arrived.
 *
 * Needs the permissions of `connect`.
 *
 * @example A message that has arrived
 * ```ts
 * import { connect, listen, reliableChannel, reliableListener } from "@sluice/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const address = `unix:${await Deno.makeTempDir()}/a.sock`;
 * await using server = reliableListener<string>(await listen(address));
 * await using client = reliableChannel<unknown, string>(
 *   ({ signal }) => connect(address, { signal }),
 * );
 *
 * const sending = client.send("hello");
 * await using session = await server.accept();
 * assertEquals(await session.receive(), "hello");
 * await sending; // the server's application has it
 * ```
 *
 * @typeParam In The messages that the server sends.
 * @typeParam Out The messages for the server.
 * @param connect Opens a connection; called again after each loss.
 * @param options How to reconnect, what bounds memory and waits, and hooks.
 * @returns The channel, at once: messages wait until there is a connection.
 * @throws {TypeError} If an option is none of those listed.
 * @throws {RangeError} If an option is out of range.
 */
export function reliableChannel<In = unknown, Out = In>(
  connect: Connector,
  options: ReliableChannelOptions<In, Out> = {},
): ReliableChannel<In, Out> {
  checkFunction("connect", connect);
  const { onSessionLost = "resend" } = options;
  checkOneOf("onSessionLost", onSessionLost, ["resend", "reject"]);
  return new ReliableClient(connect, options).session;
}
