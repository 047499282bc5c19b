import type { WaitOptions } from "../duplex.ts";
import type { ReconnectOptions } from "../_async/reconnector.ts";
import type { CallOptions, Metadata } from "./call_options.ts";
import type { ClientOptions } from "./client.ts";
import type { Session } from "./session.ts";
import type {
  AnyFunction,
  ClientMethods,
  HandlerName,
  NotifyMethods,
} from "./types.ts";

export type { Connector, ReconnectOptions } from "../_async/reconnector.ts";

/** The names to call of the handlers of type `T`, `"fs.read"` where they nest. */
export type MethodName<T> = unknown extends T ? string
  : {
    [K in keyof T]: T[K] extends AnyFunction ? HandlerName<K>
      : T[K] extends object ? `${HandlerName<K>}.${MethodName<T[K]>}`
      : never;
  }[keyof T];

/** Options of one call of a {@linkcode ReconnectingClient}. */
export interface ReconnectingCallOptions extends CallOptions {
  /**
   * Whether the call may run twice: then it is sent again over the next
   * connection where one was lost before the answer. Not where a stream or a
   * callback is among its arguments.
   *
   * @default {false}
   */
  idempotent?: boolean;
}

/**
 * Options of {@linkcode reconnectingClient}.
 *
 * @typeParam T The type of the handlers.
 */
export interface ReconnectingClientOptions<T = unknown> extends ClientOptions {
  /** How a lost connection is made anew. */
  reconnect?: ReconnectOptions;
  /**
   * The longest time for one connection, with `onConnect`, in milliseconds.
   *
   * @default {10000}
   */
  connectTimeout?: number;
  /**
   * The methods that may run twice: see
   * {@linkcode ReconnectingCallOptions.idempotent}.
   */
  idempotent?: readonly MethodName<T>[];
  /**
   * Runs on each new connection before anyone else uses it, to sign in or to
   * subscribe. What it throws ends that connection, and another is tried.
   */
  onConnect?: (session: Session) => unknown;
  /** Told why a connection ended, and of tries that failed. */
  onDisconnect?: (error: unknown) => void;
  /** Closes the client. */
  signal?: AbortSignal;
}

/** The connections of a {@linkcode ReconnectingClient}, one after the other. */
export interface ReconnectingSession extends AsyncDisposable {
  /** Whether there is a connection now. */
  readonly state: "connecting" | "connected" | "closed";
  /** Connections so far. */
  readonly connections: number;
  /**
   * Resolves when the client was closed; rejects when it has given up, with why
   * the last try failed.
   */
  readonly closed: Promise<void>;
  /**
   * Waits until there is a connection.
   *
   * @param options `timeout` and `signal` end the wait.
   * @returns The session over it, until it is lost.
   * @throws {CallInterruptedError} If there will be none.
   */
  ready(options?: WaitOptions): Promise<Session>;
  /**
   * Calls a method by its name, as {@linkcode Session.call} does.
   *
   * @throws {CallInterruptedError} If the connection was lost before the answer.
   */
  call(
    method: string,
    options?: { params?: readonly unknown[] } & ReconnectingCallOptions,
  ): Promise<unknown>;
  /** Tells the peer something, as {@linkcode Session.notify} does. */
  notify(
    method: string,
    options?:
      & { params?: readonly unknown[]; metadata?: Metadata }
      & WaitOptions,
  ): Promise<void>;
  /** Connects no more, and closes the connection that there is. */
  close(): Promise<void>;
  /** Connects no more, and ends the connection now. */
  abort(reason?: unknown): void;
}

/** What a {@linkcode ReconnectingClient} has besides the methods. */
export interface ReconnectingClientControls<T> extends AsyncDisposable {
  /** The same client with options for the calls made through what it returns. */
  readonly $with: (options: ReconnectingCallOptions) => ReconnectingClient<T>;
  /** Calls without an answer; each waits until there is a connection. */
  readonly $notify: NotifyMethods<T>;
  /** The connections: their state, and `close`. */
  readonly $session: ReconnectingSession;
}

/**
 * A typed proxy for the handlers of type `T` that comes back by itself. Made by
 * {@linkcode reconnectingClient}.
 */
export type ReconnectingClient<T> =
  & ClientMethods<T>
  & ReconnectingClientControls<T>;

/**
 * What became of a call that was cut off:
 *
 * - `"interrupted"`: it was sent and not answered: it may have run.
 * - `"not-sent"`: it was never sent, so it did not run.
 */
export type CallInterruptedCode = "interrupted" | "not-sent";

/** Thrown by a call of a {@linkcode ReconnectingClient} that was cut off. */
export class CallInterruptedError extends Error {
  /** The name of the class. */
  override readonly name = "CallInterruptedError";
  /** Whether it may have run. */
  readonly code: CallInterruptedCode;

  /**
   * Creates the error.
   *
   * @param message What failed first, then why.
   * @param options The {@linkcode CallInterruptedCode} and the cause.
   */
  constructor(
    message: string,
    options: ErrorOptions & { code: CallInterruptedCode },
  ) {
    super(message, options);
    this.code = options.code;
  }
}
