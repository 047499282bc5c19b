import type { Timeouts, WaitOptions } from "../duplex.ts";
import type { ReconnectOptions } from "../_async/reconnector.ts";
import type {
  Channel,
  ChannelValidators,
  Codec,
  FrameError,
} from "../framing/mod.ts";
import type { Window } from "./window.ts";

export type { Connector, ReconnectOptions } from "../_async/reconnector.ts";

/**
 * Where a channel that survives its connections stands:
 *
 * - `"connecting"`: there was no connection yet.
 * - `"connected"`: messages flow.
 * - `"disconnected"`: the connection was lost; another is tried or waited for.
 * - `"closed"`: it is over.
 */
export type DeliveryState =
  | "connecting"
  | "connected"
  | "disconnected"
  | "closed";

/** What {@linkcode ReliableChannel.handle} tells of a message. */
export interface Delivery {
  /** The session that the message came by. */
  readonly sessionId: string;
  /** The message's number in its session, from 0. */
  readonly sequence: number;
}

/** Counters of a {@linkcode ReliableChannel}. */
export interface DeliveryStats {
  /** Messages that were accepted for sending. */
  readonly sent: number;
  /** Messages of those that the peer acknowledged. */
  readonly acknowledged: number;
  /** Messages that were written to a connection more than once. */
  readonly resent: number;
  /** Messages that arrived, each counted once. */
  readonly received: number;
  /** Messages that arrived once more, and were dropped. */
  readonly duplicates: number;
  /** Connections so far. */
  readonly connections: number;
}

/**
 * A {@linkcode Channel} that outlives its connections: each message that was
 * accepted arrives once and in order, or its sender learns that it may not have.
 *
 * Made by {@linkcode reliableChannel}, and on the other side by a
 * {@linkcode ReliableListener}.
 *
 * @typeParam In The messages that the peer sends.
 * @typeParam Out The messages for the peer.
 */
export interface ReliableChannel<In, Out> extends Channel<In, Out> {
  /**
   * Sends a message. Await it to know that the peer has it; to keep many on
   * their way, call it again without waiting, or use
   * {@linkcode ReliableChannel.trySend}.
   *
   * The message is encoded before this returns, so it may change afterwards.
   *
   * @param message The message.
   * @param options `timeout` and `signal` end the wait. A message that waits for
   * room is then not sent; one that was accepted before still is.
   * @returns Resolves when the peer acknowledged the message: by default when
   * its application took it (see {@linkcode ReliableOptions.acknowledge}).
   * @throws {DeliveryError} If there is no acknowledgement. It tells whether the
   * message may have arrived all the same.
   * @throws {FrameError} If the message can't be encoded, is invalid, or exceeds
   * `maxFrameLength`.
   */
  send(message: Out, options?: WaitOptions): Promise<void>;
  /**
   * Sends a message if the window has room. Never waits. Its outcome is that of
   * the next {@linkcode ReliableChannel.flush}.
   *
   * @param message The message.
   * @returns `false`, with nothing queued, where the window is full.
   * @throws {DeliveryError} If the channel is over.
   * @throws {FrameError} As {@linkcode ReliableChannel.send} rejects.
   */
  trySend(message: Out): boolean;
  /** Whether {@linkcode ReliableChannel.trySend} would take a message now. */
  readonly canSend: boolean;
  /**
   * Resolves when the window has room, or the channel is over. Never rejects.
   */
  readonly ready: Promise<void>;
  /**
   * Waits until the peer acknowledged all that was accepted up to now.
   *
   * @param options `timeout` and `signal` end the wait.
   * @throws {DeliveryError} If the channel ends before that, or what was sent
   * may be lost with its session.
   */
  flush(options?: WaitOptions): Promise<void>;
  /**
   * Runs `handler` for each message, one after the other, and acknowledges a
   * message when its handler is done. One that throws ends it, and the channel:
   * the message was not acknowledged.
   *
   * @param handler Gets the message, and its {@linkcode Delivery}.
   * @returns Resolves at the peer's clean end, or after `close`.
   */
  handle(
    handler: (message: In, delivery: Delivery) => Promise<void> | void,
  ): Promise<void>;
  /** Where it stands. */
  readonly state: DeliveryState;
  /**
   * The session's name: 32 hexadecimal digits, empty before the first
   * connection. Who knows it can take over the session: keep it out of logs.
   */
  readonly sessionId: string;
  /** Counters. */
  readonly stats: DeliveryStats;
}

/** What both sides of a {@linkcode ReliableChannel} can be told. */
export interface DeliveryOptions<In, Out> {
  /**
   * How messages become payloads.
   *
   * @default {msgpack}
   */
  codec?: Codec<In> | Codec<unknown>;
  /** Checks messages each way. By default nothing is checked. */
  validate?: ChannelValidators<In, Out>;
  /**
   * Called with the error of each invalid message, which is then skipped. By
   * default the error takes the message's place in `receive`.
   */
  onInvalid?: (error: FrameError) => void;
  /**
   * The longest payload, in bytes, either way.
   *
   * @default {16777216}
   */
  maxFrameLength?: number;
  /** What may be on its way to this side, and at most from it. */
  window?: Window;
  /**
   * What bounds each wait. A connection without a byte from the peer for `idle`
   * (20 s) is lost, and one is asked for after half of that; `connect` (10 s)
   * includes the greetings; `partialFrame` is 30 s and `close` 5 s. `send`,
   * `receive` and `exchange` have no end by default.
   */
  timeouts?: Timeouts;
}

/** What both sides of a session can be told. */
export interface ReliableOptions<In, Out> extends DeliveryOptions<In, Out> {
  /**
   * When a message that was received is acknowledged to its sender:
   *
   * - `"receipt"`: when the application takes it.
   * - `"handled"`: when the application asks for the next one, so when the body
   *   of a `for await` loop is done.
   *
   * {@linkcode ReliableChannel.handle} always acknowledges after the handler.
   *
   * @default {"receipt"}
   */
  acknowledge?: "receipt" | "handled";
  /** Told of each connection that was lost, with the cause. */
  onDisconnect?: (error: unknown) => void;
}

/** What a client is told about a connection that it made again. */
export interface Reconnection {
  /** How many tries it took, from 1. */
  readonly attempts: number;
  /**
   * Whether the session went on. `false` means that the peer had forgotten it:
   * what was on its way is sent again, perhaps for the second time, or was
   * rejected (see {@linkcode ReliableChannelOptions.onSessionLost}).
   */
  readonly resumed: boolean;
}

/** Options for {@linkcode reliableChannel}. */
export interface ReliableChannelOptions<In, Out>
  extends ReliableOptions<In, Out> {
  /** How a lost connection is made anew. */
  reconnect?: ReconnectOptions;
  /**
   * What becomes of messages that were sent and not acknowledged when the server
   * has forgotten the session, such as by a restart:
   *
   * - `"resend"`: they are sent again: at least once.
   * - `"reject"`: their sends reject with the code `"session-lost"`: at most once.
   *
   * @default {"resend"}
   */
  onSessionLost?: "resend" | "reject";
  /**
   * Adds a CRC-32 to each message, for ways that may damage bytes. Streams of
   * this package's transports don't.
   *
   * @default {false}
   */
  checksum?: boolean;
  /** Told when a connection was made again. */
  onReconnect?: (reconnection: Reconnection) => void;
  /** Aborts the channel. */
  signal?: AbortSignal;
}
