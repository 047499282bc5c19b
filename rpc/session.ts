import type { Duplex, WaitOptions } from "../duplex.ts";
import type { CallOptions, Metadata } from "./call_options.ts";
import type { Peer } from "./peer.ts";
import type { ClientMethods, NotifyMethods } from "./types.ts";

/** One method as {@linkcode Session.describe} lists it. */
export interface MethodDescription {
  /** The name to call, `"fs.read"` for nested handlers. */
  readonly name: string;
  /** How many parameters the handler declares before any default or rest. */
  readonly parameters: number;
}

/** Both ends of the calls over one connection. */
export interface Session extends AsyncDisposable {
  /** What it runs over. */
  readonly duplex: Duplex;
  /** Who is at the other side. */
  readonly peer: Peer;
  /** Resolves on a clean end; rejects with what broke the connection. */
  readonly closed: Promise<void>;
  /** Calls of this side that wait for an answer. */
  readonly pendingCalls: number;
  /** Calls of the peer that run or wait here. */
  readonly runningCalls: number;
  /** Streams that are open, both ways. */
  readonly openStreams: number;
  /** Callbacks that are alive, both ways. */
  readonly liveCallbacks: number;
  /** A typed client of what the peer serves. */
  client<T>(): Client<T>;
  /**
   * Calls a method by its name.
   *
   * @param method The name, `"fs.read"` for nested handlers.
   * @param params The arguments under `params`, beside {@linkcode CallOptions}.
   * @returns What the handler returned.
   * @throws {RpcError} If the call failed at the peer.
   * @throws {ConnectionClosedError} If the connection ended before the answer.
   */
  call(
    method: string,
    params?: { params?: readonly unknown[] } & CallOptions,
  ): Promise<unknown>;
  /**
   * Tells the peer something. Resolves when the message was accepted.
   *
   * @throws {ConnectionClosedError} If the connection ended.
   */
  notify(
    method: string,
    params?: { params?: readonly unknown[]; metadata?: Metadata },
  ): Promise<void>;
  /**
   * Asks the peer which methods it has.
   *
   * @throws {RpcError} With code `"method-not-found"` where it doesn't tell.
   */
  describe(options?: WaitOptions): Promise<MethodDescription[]>;
  /**
   * Asks the peer for a sign of life. Any answer counts, also of a program
   * that doesn't know the question.
   *
   * @returns The round trip in milliseconds.
   */
  ping(options?: WaitOptions): Promise<number>;
  /**
   * Takes no new calls, waits for the running ones and for the streams that
   * this side sends, then closes. The peer is told and starts no new ones; those
   * that were on their way meanwhile still run. A peer that answers nothing is
   * waited for a second.
   *
   * @throws {DOMException} `TimeoutError` where that took too long; it is
   * closed then too.
   */
  drain(options?: WaitOptions): Promise<void>;
  /** Sends what is queued, ends what runs, and closes the connection. */
  close(): Promise<void>;
  /** Ends the connection now. */
  abort(reason?: unknown): void;
}

/** What a {@linkcode Client} has besides the methods of its contract. */
export interface ClientControls<T> extends AsyncDisposable {
  /**
   * The same client with options for the calls made through what it returns:
   * `api.$with({ timeout: 1_000 }).add(1, 2)`.
   */
  readonly $with: (options: CallOptions) => Client<T>;
  /** Calls without an answer; resolves when the message was accepted. */
  readonly $notify: NotifyMethods<T>;
  /** The connection: close, drain, describe, ping. */
  readonly $session: Session;
}

/**
 * A typed proxy for the handlers of type `T` at the other side:
 * `client<typeof handlers>(duplex)`.
 */
export type Client<T> = ClientMethods<T> & ClientControls<T>;
