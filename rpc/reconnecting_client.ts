import { checkFunction } from "../_async/check.ts";
import { createClient } from "./_proxy.ts";
import { ReconnectingCalls } from "./_reconnecting_calls.ts";
import type {
  Connector,
  ReconnectingClient,
  ReconnectingClientOptions,
} from "./reconnecting_types.ts";

/**
 * A typed client that connects again by itself, with growing pauses, whenever
 * its connection is lost or the server ends it. It is ready at once: calls wait
 * until there is a connection, for as long as their `timeout` and `signal` allow.
 *
 * A call whose connection was lost before the answer rejects with a
 * {@linkcode CallInterruptedError} of the code `"interrupted"`, as nobody knows
 * whether it ran. Methods that may run twice are sent again instead: name them in
 * `idempotent`, or call `api.$with({ idempotent: true })`. What a server refused
 * because it drains did not run, and is always sent again. A stream ends with the
 * error of its connection.
 *
 * Needs the permissions of `connect`.
 *
 * @example A server that restarts
 * ```ts
 * import { reconnectingClient, serve } from "@sluice/ipc/rpc";
 * import { connectUnix, listenUnix } from "@sluice/ipc/socket";
 * import { assertEquals } from "@std/assert";
 *
 * const handlers = { add: (a: number, b: number) => a + b };
 * const path = `${await Deno.makeTempDir()}/a.sock`;
 * await using api = reconnectingClient<typeof handlers>(
 *   ({ signal }) => connectUnix({ path, signal }),
 *   { timeout: 5_000, idempotent: ["add"] },
 * );
 * for (let start = 0; start < 2; start++) {
 *   await using _server = serve(await listenUnix({ path }), handlers);
 *   assertEquals(await api.add(start, 2), start + 2);
 * }
 * ```
 *
 * @typeParam T The type of the handlers: `typeof handlers`.
 * @param connect Opens a connection; called again after each loss.
 * @param options How to reconnect, hooks, and the options of `client`.
 * @returns The typed proxy. Disposing of it closes the connection for good.
 * @throws {TypeError} If an option is of the wrong type.
 * @throws {RangeError} If an option is out of its bounds.
 */
export function reconnectingClient<T>(
  connect: Connector,
  options: ReconnectingClientOptions<T> = {},
): ReconnectingClient<T> {
  checkFunction("connect", connect);
  return createClient<T>(
    new ReconnectingCalls(connect, options as ReconnectingClientOptions),
  ) as unknown as ReconnectingClient<T>;
}
