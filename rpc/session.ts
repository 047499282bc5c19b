import type { Connection, Duplex, WaitOptions } from "../duplex.ts";
import type { CallerCredentials, Context, Metadata, Peer } from "./context.ts";
import type { CallOptions, Client } from "./types.ts";
import type { Protocol } from "./protocol.ts";

/** A call on its way through {@linkcode Middleware}. */
export interface ServedCall {
  /** The name that was called. */
  readonly method: string;
  /** The arguments; what is put in their place reaches the handler. */
  params: unknown[];
  /** What the handler gets as `this`. */
  readonly context: Context;
}

/**
 * Runs around every handler: `next()` runs the rest and gives the result.
 * What it throws goes to the caller.
 */
export type Middleware = (
  call: ServedCall,
  next: () => Promise<unknown>,
) => unknown;

/** A call on its way through {@linkcode CallMiddleware}. */
export interface OutgoingCall {
  /** The name to call. */
  readonly method: string;
  /** The arguments; what is put in their place is sent. */
  params: readonly unknown[];
  /** What goes along: set `traceparent` or a token here. */
  metadata: Metadata;
  /** Cancels the call. */
  readonly signal: AbortSignal | undefined;
  /** The longest wait in milliseconds. */
  readonly timeout: number;
  /** Whether no answer is waited for. */
  readonly notification: boolean;
}

/** Runs around every call that this side makes. */
export type CallMiddleware = (
  call: OutgoingCall,
  next: () => Promise<unknown>,
) => unknown;

/** One method as {@linkcode Session.describe} lists it. */
export interface MethodDescription {
  /** The name to call, `"fs.read"` for nested handlers. */
  readonly name: string;
  /** How many parameters the handler declares before any default or rest. */
  readonly parameters: number;
}

/** Limits that this side keeps, whatever the peer does. */
export interface SessionLimits {
  /**
   * Calls of the peer that run at the same time. More wait. A handler counts
   * until it has settled, also after its caller gave up.
   *
   * @default {1024}
   */
  maxConcurrentCalls?: number;
  /**
   * Calls of the peer that wait for others. More are refused with
   * `"overloaded"`.
   *
   * @default {1024}
   */
  maxQueuedCalls?: number;
  /**
   * Calls of this side that wait for an answer. One more rejects with
   * `"overloaded"`.
   *
   * @default {65536}
   */
  maxPendingCalls?: number;
  /**
   * Open streams, counted each way.
   *
   * @default {256}
   */
  maxStreams?: number;
  /**
   * What one stream may buffer here. An item counts 1, plus 1 for each whole
   * KiB of a `Uint8Array` or string.
   *
   * @default {1024}
   */
  streamWindow?: number;
  /**
   * Callbacks that are alive, counted each way.
   *
   * @default {1024}
   */
  maxCallbacks?: number;
  /**
   * Bytes of one message.
   *
   * @default {16777216}
   */
  maxMessageLength?: number;
  /**
   * Messages in one JSON-RPC batch.
   *
   * @default {100}
   */
  maxBatchLength?: number;
  /**
   * Arrays and objects inside each other in arguments and results.
   *
   * @default {64}
   */
  maxDepth?: number;
}

/** Options of a {@linkcode Session}, `client` and `serve`. */
export interface SessionOptions extends SessionLimits {
  /**
   * What both sides speak.
   *
   * @default {messagePackRpc()}
   */
  protocol?: Protocol;
  /**
   * The longest wait for an answer in milliseconds, for calls without their
   * own.
   *
   * @default {Infinity}
   */
  timeout?: number;
  /**
   * Asks the peer for a sign of life after so many milliseconds of silence.
   *
   * @default {Infinity}
   */
  heartbeatInterval?: number;
  /**
   * Ends the connection where the sign of life takes longer, in milliseconds.
   *
   * @default {10000}
   */
  heartbeatTimeout?: number;
  /**
   * Closes the connection when nothing ran and nothing came for so many
   * milliseconds (at most twice as many).
   *
   * @default {Infinity}
   */
  idleTimeout?: number;
  /**
   * Ends the connection when the peer takes no byte of what is to be sent for
   * so many milliseconds.
   *
   * @default {30000}
   */
  stallTimeout?: number;
  /**
   * Bytes that wait to be sent before calls and answers wait too.
   *
   * @default {1048576}
   */
  highWaterMark?: number;
  /**
   * Whether stacks of thrown errors are sent.
   *
   * @default {false}
   */
  exposeStacks?: boolean;
  /**
   * Sees each error before it is sent, and returns what is sent instead.
   * Without it, name, message, code, data and cause are sent as they are. The
   * context is missing for a stream that was passed as an argument.
   */
  redactError?: (error: unknown, context: Context | undefined) => unknown;
  /** Runs around the handlers, the first one outermost. */
  middleware?: readonly Middleware[];
  /** Runs around the calls that this side makes, the first one outermost. */
  callMiddleware?: readonly CallMiddleware[];
  /**
   * Whether the peer may ask for the list of methods.
   *
   * @default {true}
   */
  describe?: boolean;
  /**
   * Reads who the peer is, for {@linkcode Peer.credentials}: pass
   * `peerCredentials` of `@sluice/ipc/socket`. It is called when a handler
   * asks; where it throws, there are none.
   */
  credentials?: (connection: Connection) => CallerCredentials;
  /**
   * Told why a connection ended where that was not in order, such as a
   * malformed message, what a notification's handler threw, and what kept a
   * server from accepting (then there is no session). By default all but lost
   * connections go to `console.error`.
   */
  onError?: (error: unknown, session?: Session) => void;
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
   * @param params The arguments, and {@linkcode CallOptions} under `options`.
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
   * this side sends, then closes. The peer is told and starts no new ones.
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
