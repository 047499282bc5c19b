/**
 * The contracts that every transport keeps: {@linkcode Duplex},
 * {@linkcode Connection} and {@linkcode Listener}. This module imports nothing
 * and needs no permission.
 *
 * @example One function for every transport
 * ```ts
 * import type { Connection } from "@sluice/ipc/duplex";
 *
 * async function shout(connection: Connection, text: string): Promise<void> {
 *   const writer = connection.writable.getWriter();
 *   await writer.write(new TextEncoder().encode(text.toUpperCase()));
 *   await connection.close();
 * }
 * ```
 *
 * @module
 */

/**
 * A pair of byte streams, one each way. `Deno.Conn`, a child's stdio, a
 * `TransformStream` pair and a `WebSocketStream` connection are `Duplex`es as
 * they are, and everything above the transports takes one.
 */
export interface Duplex {
  /** The bytes that the peer sends. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Takes the bytes for the peer. */
  readonly writable: WritableStream<Uint8Array>;
}

/** How long a wait may last and what ends it early. */
export interface WaitOptions {
  /** Ends the wait: it rejects with the signal's reason. */
  signal?: AbortSignal;
  /**
   * The longest wait in milliseconds; then it rejects with a `DOMException`
   * named `TimeoutError`. `Infinity` waits without end.
   */
  timeout?: number;
}

/**
 * How long each kind of wait may last, in milliseconds. `Infinity` waits without
 * end. One object serves `connect`, `channel` and what stands on them: each takes
 * the members that concern it, and their defaults are told there. Time is
 * monotonic: setting the clock changes nothing.
 */
export interface Timeouts {
  /** Making a connection, with its greetings. */
  connect?: number;
  /** Silence from the peer, after which a connection counts as lost. */
  idle?: number;
  /** One `send`. */
  send?: number;
  /** One `receive`. */
  receive?: number;
  /** A frame that has begun and is not whole. */
  partialFrame?: number;
  /** A message and its answer together. */
  exchange?: number;
  /** `close`, without anything moving. */
  close?: number;
}

/** An open connection between two programs: a {@linkcode Duplex} with an end. */
export interface Connection extends Duplex, AsyncDisposable {
  /** This side's address, such as `"unix:/run/a.sock"`. */
  readonly local: string;
  /** The peer's address. */
  readonly remote: string;
  /**
   * Resolves on a clean end of both ways, so not before this side closes too;
   * rejects with what broke the connection.
   */
  readonly closed: Promise<void>;
  /**
   * Sends what was written, tells the peer that no more follows (half-close),
   * then frees the connection. Calling it again gives the same promise.
   */
  close(): Promise<void>;
  /**
   * Frees the connection now. What was not sent yet is lost. The peer may see an
   * end like any other, as of a process that was killed: only `exec:`, `shm:` and
   * `nats:` always tell.
   */
  abort(reason?: unknown): void;
}

/**
 * Waits for {@linkcode Connection}s. Iterating accepts until it is closed. While
 * nobody waits it does not keep the program from ending, except on `nats:`, where
 * it is a connection itself, and on `tls:` without `clientCaCerts`, of which the
 * runtime can't let go.
 */
export interface Listener extends AsyncIterable<Connection>, AsyncDisposable {
  /** The address that peers connect to, such as `"tcp:127.0.0.1:40123"`. */
  readonly address: string;
  /**
   * Waits for the next connection.
   *
   * @param options `signal` ends the wait with its reason.
   * @returns The connection, owned by the caller.
   * @throws {ConnectionClosedError} If the listener is closed.
   */
  accept(options?: { signal?: AbortSignal }): Promise<Connection>;
  /** Stops accepting and removes the address. Accepted connections live on. */
  close(): Promise<void>;
}

/**
 * Why a connection is no longer there:
 *
 * - `"closed"`: this side closed or aborted it.
 * - `"ended"`: the peer ended it in order, while something still waited.
 * - `"lost"`: it broke: the peer died, or the network reset it.
 */
export type ConnectionClosedCode = "closed" | "ended" | "lost";

/**
 * Thrown by what was pending, or is asked for, on a connection, channel or
 * listener that is no longer there.
 *
 * @example Telling a clean end from a loss
 * ```ts
 * import { ConnectionClosedError } from "@sluice/ipc/duplex";
 *
 * const error = new ConnectionClosedError("Cannot send: the peer is gone", {
 *   code: "lost",
 * });
 * if (error.code !== "lost") throw error;
 * ```
 */
export class ConnectionClosedError extends Error {
  /** The name of the class. */
  override readonly name = "ConnectionClosedError";
  /** Why the connection is no longer there. */
  readonly code: ConnectionClosedCode;

  /**
   * Creates the error.
   *
   * @param message What failed first, then why.
   * @param options The {@linkcode ConnectionClosedCode} and the cause.
   */
  constructor(
    message: string,
    options: ErrorOptions & { code: ConnectionClosedCode },
  ) {
    super(message, options);
    this.code = options.code;
  }
}
