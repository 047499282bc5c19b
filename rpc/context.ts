import type { Duplex } from "../duplex.ts";
import type { Client } from "./types.ts";
import type { Session } from "./session.ts";

/** What travels beside a call's arguments, such as `{ traceparent }`. */
export type Metadata = Readonly<Record<string, unknown>>;

/** Who is at the other side, as far as the transport knows. */
export interface Peer {
  /** The address, where the transport gives one. */
  readonly address: string | undefined;
  /**
   * Process, user and group as the kernel tells them, where the transport has
   * them (Unix sockets do) and the `credentials` option reads them. Everything
   * else that a peer says of itself is a claim.
   */
  readonly credentials: CallerCredentials | undefined;
}

/** Who the peer is, as the kernel tells. */
export interface CallerCredentials {
  /** Process id. */
  readonly pid: number;
  /** User id. */
  readonly uid: number;
  /** Group id. */
  readonly gid: number;
}

/**
 * What a handler knows of the call it serves. It is the handler's `this`:
 * `whoami(this: Context) { return this.peer }`.
 */
export interface Context {
  /** The name that was called, `"fs.read"` for nested handlers. */
  readonly method: string;
  /**
   * Aborts when the caller cancels, the deadline passes, the caller stops
   * reading the stream that this handler returned, or the connection ends.
   */
  readonly signal: AbortSignal;
  /** When the caller stops waiting, in milliseconds as `Date.now()` counts. */
  readonly deadline: number | undefined;
  /** What the caller sent along. A claim of the peer: check it. */
  readonly metadata: Metadata;
  /** Who calls. */
  readonly peer: Peer;
  /** Whether the caller waits for no answer. */
  readonly notification: boolean;
  /** The connection that the call came over. */
  readonly duplex: Duplex;
  /** The session that the call came over. */
  readonly session: Session;
  /** Calls back: a client of what the caller serves on this connection. */
  client<T>(): Client<T>;
}
