import type { Connection } from "../duplex.ts";
import type { Metadata } from "./call_options.ts";
import type { Context } from "./context.ts";
import type { CallerCredentials } from "./peer.ts";
import type { Protocol } from "./protocol.ts";
import type { Session } from "./session.ts";

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
 * Runs around every handler, and around `$describe`: `next()` runs the rest and
 * gives the result. What it throws goes to the caller.
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
   * KiB of what it holds: see docs/wire.md.
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
   * @default {131072}
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
