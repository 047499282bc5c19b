// Calls over whichever session there is.

import type { WaitOptions } from "../duplex.ts";
import { checkTimeout, timeoutError } from "../_async/wait.ts";
import { RpcError } from "./errors.ts";
import type { Peer } from "./peer.ts";
import {
  CallInterruptedError,
  type Connector,
  type ReconnectingCallOptions,
  type ReconnectingClientOptions,
  type ReconnectingSession,
} from "./reconnecting_types.ts";
import type { Session } from "./session.ts";
import { iterable } from "./_iterable_call.ts";
import { registerDirect } from "./_proxy.ts";
import type { RpcSession } from "./_session.ts";
import { isTimeout, SessionSeries } from "./_session_series.ts";
import { hasLive } from "./_values.ts";

type Options = { params?: readonly unknown[] } & ReconnectingCallOptions;

/** The {@linkcode ReconnectingSession}. */
export class ReconnectingCalls implements ReconnectingSession {
  #series: SessionSeries;
  #idempotent: ReadonlySet<string>;
  #timeout: number;

  constructor(connect: Connector, options: ReconnectingClientOptions) {
    this.#idempotent = new Set(options.idempotent);
    this.#timeout = options.timeout ?? Infinity;
    this.#series = new SessionSeries(connect, options);
    registerDirect(this, {
      call: (method, params, options) =>
        this.call(method, { ...options, params }),
      notify: (method, params, options) =>
        this.notify(method, { ...options, params }),
    });
  }

  get state(): ReconnectingSession["state"] {
    return this.#series.state;
  }

  get connections(): number {
    return this.#series.connections;
  }

  get closed(): Promise<void> {
    return this.#series.closed;
  }

  get peer(): Partial<Peer> {
    return this.#series.current?.peer ?? {};
  }

  async ready(options: WaitOptions = {}): Promise<Session> {
    return this.#series.current ??
      await this.#series.wait("Cannot connect", options);
  }

  call(method: string, options: Options = {}): Promise<unknown> {
    return iterable(this.#call(method, options));
  }

  async #call(method: string, options: Options): Promise<unknown> {
    const timeout = checkTimeout("timeout", options.timeout ?? this.#timeout);
    const end = timeout === Infinity ? Infinity : performance.now() + timeout;
    const left = () => Math.max(0, end - performance.now());
    const what = `Cannot call ${method}`;
    const series = this.#series;
    for (let rest = timeout;; rest = left()) {
      let session = series.current;
      if (session === undefined) {
        const { signal } = options;
        session = await series.wait(what, { signal, timeout: rest });
        rest = left();
      }
      try {
        const result = await session.call(method, {
          ...options,
          timeout: rest,
        });
        series.answered++;
        return result;
      } catch (error) {
        if (error instanceof RpcError) series.answered++;
        if (!this.#goesAgain(session, error, method, options)) {
          throw isTimeout(error) ? timeoutError(what, timeout) : error;
        }
      }
    }
  }

  /** Whether it is called once more; throws where it was cut off. */
  #goesAgain(
    session: RpcSession,
    error: unknown,
    method: string,
    { params = [], idempotent = this.#idempotent.has(method) }: Options,
  ): boolean {
    if (error instanceof RpcError && error.code === "unavailable") {
      return session.peerIsDraining; // then it did not run
    }
    if (!this.#isLost(session, error)) return false;
    if (idempotent && !hasLive(params)) return true;
    throw interrupted(method, error);
  }

  /** Whether the connection ended, and not by this side. */
  #isLost(session: RpcSession, error: unknown): boolean {
    if (error !== session.ended || this.state === "closed") return false;
    this.#series.leave(session);
    return true;
  }

  async notify(method: string, options: Options = {}): Promise<void> {
    const { signal, timeout = this.#timeout } = options;
    const session = this.#series.current ??
      await this.#series.wait(`Cannot notify ${method}`, { signal, timeout });
    try {
      await session.notify(method, options);
    } catch (error) {
      if (!this.#isLost(session, error)) throw error;
      throw interrupted(method, error);
    }
  }

  close(): Promise<void> {
    return this.#series.close();
  }

  abort(reason?: unknown): void {
    this.#series.abort(reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What a log shows of it. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `ReconnectingSession (${this.state})`;
  }
}

function interrupted(method: string, cause: unknown): CallInterruptedError {
  return new CallInterruptedError(
    `Cannot call ${method}: the connection was lost before the answer, ` +
      `it may have run`,
    { code: "interrupted", cause },
  );
}
