import type { Duplex } from "../duplex.ts";
import { checkFunction } from "../_async/check.ts";
import type { Metadata } from "./call_options.ts";
import type { Peer } from "./peer.ts";
import type { Client, Session } from "./session.ts";

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

/**
 * A handler from a function that takes the {@linkcode Context} as its first
 * parameter, for arrow functions, which have no `this`.
 *
 * @example An arrow function with its context
 * ```ts
 * import { withContext } from "@sluice/ipc/rpc";
 *
 * const handlers = {
 *   wait: withContext((context, text: string) =>
 *     context.signal.aborted ? "" : text
 *   ),
 * };
 * if (typeof handlers.wait !== "function") throw new Error("No handler");
 * ```
 *
 * @param handler Takes the context, then the caller's arguments.
 * @returns The handler to list.
 */
export function withContext<A extends unknown[], R>(
  handler: (context: Context, ...args: A) => R,
): (this: Context, ...args: A) => R {
  checkFunction("handler", handler);
  return function (this: Context, ...args: A): R {
    return handler(this, ...args);
  };
}
