import type { Listener } from "../duplex.ts";
import { checkListener } from "../_async/check.ts";
import type {
  ReliableListener,
  ReliableListenerOptions,
} from "./listener_types.ts";
import { SessionTable } from "./_session_table.ts";

/**
 * Makes a listener whose connections are sessions: the server of
 * {@linkcode reliableChannel}.
 *
 * A session's name is 128 random bits, so that no one takes up what is not
 * theirs. A peer that breaks the rules loses its connection, and nobody else does.
 *
 * Needs no permission of its own.
 *
 * @example Each job is done once
 * ```ts
 * import { connect, listen, reliableChannel, reliableListener } from "@sluice/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = reliableListener<number>(await listen("tcp:127.0.0.1:0"));
 * await using client = reliableChannel<unknown, number>(
 *   ({ signal }) => connect(server.address, { signal }),
 * );
 * const done: number[] = [];
 * const serving = (async () => {
 *   for await (const session of server) {
 *     await session.handle((job) => void done.push(job));
 *   }
 * })();
 *
 * await Promise.all([1, 2, 3].map((job) => client.send(job)));
 * assertEquals(done, [1, 2, 3]); // handled, not only received
 * await client.close();
 * await server.close();
 * await serving;
 * ```
 *
 * @typeParam In The messages that clients send.
 * @typeParam Out The messages for clients.
 * @param listener Where connections come from. It is closed with this one.
 * @param options Limits, the store, and hooks.
 * @returns The listener.
 * @throws {RangeError} If an option is out of range.
 */
export function reliableListener<In = unknown, Out = In>(
  listener: Listener,
  options: ReliableListenerOptions<In, Out> = {},
): ReliableListener<In, Out> {
  checkListener(listener);
  const table = new SessionTable<In, Out>(listener.address, options);
  table.listen(listener);
  return table;
}
