import type { Connection, Duplex, Listener } from "../duplex.ts";
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
