// The sessions of a client that reconnects, one after the other.

import type { Connection, Duplex, WaitOptions } from "../duplex.ts";
import { ConnectionClosedError } from "../duplex.ts";
import { Reconnector } from "../_async/reconnector.ts";
import { checkTimeout, within } from "../_async/wait.ts";
import { WaitList } from "../framing/_wait_list.ts";
import { createSession } from "./client.ts";
import { RpcError } from "./errors.ts";
import {
  CallInterruptedError,
  type Connector,
  type ReconnectingClientOptions,
  type ReconnectingSession,
} from "./reconnecting_types.ts";
import { checkOptions } from "./_options.ts";
import type { RpcSession } from "./_session.ts";

/** A connection that lived so long was good for something, in milliseconds. */
const USEFUL = 1_000;
const CONNECT_TIMEOUT = 10_000;

/** Has a session, or is about to. */
export class SessionSeries {
  state: ReconnectingSession["state"] = "connecting";
  connections = 0;
  /** Calls that were answered: the connection is good for something. */
  answered = 0;
  readonly closed: Promise<void>;
  #options: ReconnectingClientOptions;
  #maxWaiting: number;
  #reconnector: Reconnector;
  #current: RpcSession | undefined;
  /** The current one, and those that are ending. */
  #sessions = new Set<RpcSession>();
  /** Calls that wait for the next one. */
  #waiting = new WaitList<RpcSession, undefined>();
  /** The current session is of no use any more. */
  #left = Promise.withResolvers<void>();
  /** Why there will be no other. */
  #end: CallInterruptedError | undefined;
  /** Why there is no connection. */
  #lastError: unknown;
  #done = Promise.withResolvers<void>();
  #closing: Promise<void> | undefined;
  #detach: () => void = () => {};

  constructor(connect: Connector, options: ReconnectingClientOptions) {
    const { signal, connectTimeout = CONNECT_TIMEOUT } = options;
    this.#options = options;
    this.#maxWaiting = checkOptions(options).maxPendingCalls;
    this.closed = this.#done.promise;
    this.closed.catch(() => {}); // nobody has to listen
    this.#reconnector = new Reconnector({
      connect,
      options: options.reconnect,
      timeout: checkTimeout("connectTimeout", connectTimeout),
      use: (duplex, signal) => this.#use(duplex, signal),
      onFailed: (error) => this.#report(error),
      onGiveUp: (error) => this.#giveUp(error),
    });
    const onAbort = () => this.abort(signal?.reason);
    if (signal?.aborted) {
      onAbort();
      return;
    }
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#detach = () => signal?.removeEventListener("abort", onAbort);
    this.#reconnector.run();
  }

  async #use(
    duplex: Duplex & Partial<Connection>,
    signal: AbortSignal,
  ): Promise<{ ended: Promise<{ useful: boolean }> }> {
    const session = createSession(duplex, this.#options) as RpcSession;
    this.#sessions.add(session);
    const onClosed = () => {
      this.#sessions.delete(session);
      this.leave(session);
    };
    session.closed.then(onClosed, onClosed);
    try {
      await within(
        Promise.resolve(this.#options.onConnect?.(session)),
        "Cannot use the connection",
        { signal },
      );
      signal.throwIfAborted();
      if (session.ended !== undefined) throw session.ended;
    } catch (error) {
      session.abort();
      throw error;
    }
    const start = performance.now();
    const { answered } = this;
    this.connections++;
    this.state = "connected";
    this.#current = session;
    this.#left = Promise.withResolvers();
    while (this.#waiting.size > 0) this.#waiting.shift()!.resolve(session);
    return {
      ended: this.#left.promise.then(() => ({
        useful: this.answered > answered || session.peerIsDraining ||
          performance.now() - start > USEFUL,
      })),
    };
  }

  /** The session that takes calls now, if there is one. */
  get current(): RpcSession | undefined {
    const session = this.#current;
    if (session === undefined) return undefined;
    if (session.ended === undefined && !session.peerIsDraining) return session;
    this.leave(session);
    return undefined;
  }

  /** Lets the next connection be made; what is pending on this one goes on. */
  leave(session: RpcSession): void {
    if (this.#current !== session) return;
    this.#current = undefined;
    if (this.state !== "closed") {
      this.state = "connecting";
      this.#report(session.ended ?? draining());
    }
    this.#left.resolve();
  }

  /** Waits for the next session. */
  async wait(what: string, options: WaitOptions): Promise<RpcSession> {
    if (this.#end !== undefined) throw this.#end;
    if (this.#waiting.size >= this.#maxWaiting) {
      throw new RpcError(
        `${what}: ${this.#waiting.size} calls wait for a connection, ` +
          `maxPendingCalls is ${this.#maxWaiting}`,
        { code: "overloaded" },
      );
    }
    try {
      return await this.#waiting.add(what, undefined, options);
    } catch (error) {
      throw isTimeout(error) ? this.#explain(error) : error;
    }
  }

  /** A timeout that says why the last try failed: that is what has to be mended. */
  #explain({ message }: DOMException): DOMException {
    const why = this.#lastError === undefined
      ? ""
      : `: ${reasonOf(this.#lastError)}`;
    return new DOMException(
      `${message}, there is no connection${why}`,
      "TimeoutError",
    );
  }

  #report(error: unknown): void {
    this.#lastError = error;
    try {
      this.#options.onDisconnect?.(error);
    } catch { // a hook that throws must not end the client
    }
  }

  #giveUp(cause: unknown): void {
    const error = new ConnectionClosedError(
      `there is no connection, and no more tries: ${reasonOf(cause)}`,
      { code: "lost", cause },
    );
    this.#stop(error);
    this.#done.reject(error);
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#stop(closedHere());
    await Promise.all([...this.#sessions].map((session) => session.close()));
    this.#done.resolve();
  }

  abort(reason: unknown = closedHere()): void {
    this.#stop(reason);
    const error = closedHere(reason); // own: nothing for `onError`
    for (const session of this.#sessions) session.abort(error);
    this.#done.reject(reason);
  }

  /** Connects no more: who waits learns why. */
  #stop(reason: unknown): void {
    this.state = "closed";
    this.#reconnector.stop();
    this.#detach();
    if (this.#current !== undefined) this.leave(this.#current);
    this.#end ??= new CallInterruptedError(`Cannot call: ${reasonOf(reason)}`, {
      code: "not-sent",
      cause: reason,
    });
    this.#waiting.rejectAll(this.#end);
  }
}

function draining(): RpcError {
  return new RpcError("Cannot call: the peer is draining", {
    code: "unavailable",
  });
}

function closedHere(cause?: unknown): ConnectionClosedError {
  return new ConnectionClosedError("the client was closed on this side", {
    code: "closed",
    cause,
  });
}

export function isTimeout(error: unknown): error is DOMException {
  return error instanceof DOMException && error.name === "TimeoutError";
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
