import type { Connection, Duplex, Listener } from "../duplex.ts";
import { SessionTable } from "./_session_table.ts";
import type { ReliableChannel, ReliableOptions } from "./reliable_types.ts";
import type { SessionStore } from "./session_store.ts";

/** Options for {@linkcode reliableListener}. */
export interface ReliableListenerOptions<In, Out>
  extends ReliableOptions<In, Out> {
  /**
   * How many sessions there may be, connected or not. Further clients are
   * refused, and try again later. Each may hold a window's bytes either way.
   *
   * @default {1000}
   */
  maxSessions?: number;
  /**
   * How long a session without a connection is kept, in milliseconds. Then its
   * channel ends with the code `"lost"`.
   *
   * @default {60000}
   */
  sessionTimeout?: number;
  /** Takes up sessions of a process before this one. */
  store?: SessionStore;
  /**
   * Names who is at the other end, such as by the user of `peerCredentials`. A
   * session is taken up only by who began it; a throw refuses the connection.
   */
  identify?: (
    connection: Duplex & Partial<Connection>,
  ) => Promise<string> | string;
  /** Told of connections that were refused or broke the rules. */
  onError?: (error: unknown) => void;
}

/**
 * Accepts the sessions of {@linkcode reliableChannel}s. A session is accepted
 * once, however often its connection is lost and made again.
 *
 * @typeParam In The messages that clients send.
 * @typeParam Out The messages for clients.
 */
export interface ReliableListener<In, Out>
  extends AsyncIterable<ReliableChannel<In, Out>>, AsyncDisposable {
  /** The address that clients connect to. */
  readonly address: string;
  /** How many sessions there are, connected or not. */
  readonly sessions: number;
  /**
   * Waits for the next new session.
   *
   * @param options `signal` ends the wait with its reason.
   * @returns Its channel, owned by the caller.
   * @throws {ConnectionClosedError} If the listener is closed.
   */
  accept(
    options?: { signal?: AbortSignal },
  ): Promise<ReliableChannel<In, Out>>;
  /**
   * Takes connections from another listener as well, such as one that takes the
   * place of the first, or a second transport. Sessions may move between them.
   *
   * @param listener Where connections come from. It is closed with this one.
   */
  listen(listener: Listener): void;
  /**
   * Takes one connection that was accepted elsewhere.
   *
   * @param connection The connection, owned by the listener from now on.
   */
  attach(connection: Duplex | Connection): void;
  /**
   * Stops accepting. Sessions that are connected live on until their connection
   * ends; the others end now.
   */
  close(): Promise<void>;
}

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
  const table = new SessionTable<In, Out>(listener.address, options);
  table.listen(listener);
  return table;
}
