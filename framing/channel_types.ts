import type { Timeouts, WaitOptions } from "../duplex.ts";
import type { Codec } from "./codec.ts";
import type { FrameFormat, FrameLimits } from "./format.ts";
import type { FrameError } from "./frame_error.ts";
import type { ChannelValidators } from "./validator.ts";

/**
 * Messages both ways over a duplex. Made by {@linkcode channel}.
 *
 * The ways to receive share one queue: use one of them at a time.
 *
 * @typeParam In The messages that the peer sends.
 * @typeParam Out The messages for the peer.
 */
export interface Channel<In, Out> extends AsyncIterable<In>, AsyncDisposable {
  /** The `timeouts` that it was made with. */
  readonly timeouts?: Timeouts;
  /**
   * The messages as a stream. Unlike {@linkcode Channel.receive}, it can't go on
   * after an invalid message: that aborts the channel (see `onInvalid`).
   * Cancelling it ends receiving.
   */
  readonly readable: ReadableStream<In>;
  /**
   * Takes messages as a stream does. Closing it sends what was written and tells
   * the peer that no more follows; receiving goes on.
   */
  readonly writable: WritableStream<Out>;
  /** Bytes that were accepted for sending and not yet taken by the transport. */
  readonly queuedBytes: number;
  /**
   * Sends a message. What was sent in one turn leaves as one write.
   *
   * The message is encoded before this returns, so it may change afterwards;
   * only large `bytes` payloads have to stay as they are until it resolves. With
   * a `timeout` or `signal` they are copied, as they can't be taken back.
   *
   * @param message The message.
   * @param options `timeout` and `signal` end the wait for room; then the
   * message is not sent.
   * @returns Resolves when the message is accepted: below the high-water mark,
   * or by the transport.
   * @throws {FrameError} If the message can't be encoded, is invalid, or exceeds
   * a limit. The channel goes on.
   * @throws {ConnectionClosedError} If the channel is closed or was lost.
   */
  send(message: Out, options?: WaitOptions): Promise<void>;
  /**
   * Sends a message if there is room. Never waits.
   *
   * @param message The message.
   * @returns `false`, with nothing queued, where the queue is at its high-water mark.
   * @throws {FrameError} As {@linkcode Channel.send} rejects.
   * @throws {ConnectionClosedError} As {@linkcode Channel.send} rejects.
   * @throws {TypeError} If `validate.out` is async.
   */
  trySend(message: Out): boolean;
  /**
   * Waits for the next message.
   *
   * @param options `timeout` and `signal` end the wait; no message is lost by it.
   * @returns The message.
   * @throws {ConnectionClosedError} With the code `"ended"` after the peer's
   * clean end, `"lost"` if the connection broke, `"closed"` after `close`.
   * @throws {FrameError} With the code `"invalid"` in the place of a message that
   * the codec or the validator refused; the channel goes on. With any other code,
   * the bytes were no frame and the channel is aborted.
   */
  receive(options?: WaitOptions): Promise<In>;
  /**
   * Takes a message that is here already. Never waits.
   *
   * @returns The message, or `undefined` where none is here.
   * @throws {FrameError} In the place of an invalid message.
   */
  tryReceive(): In | undefined;
  /**
   * Resolves when the channel was closed, or both sides ended in order. Rejects
   * with what broke it.
   */
  readonly closed: Promise<void>;
  /**
   * Sends what was accepted, then closes the duplex. Waiting receives reject.
   * Calling it again gives the same promise.
   */
  close(): Promise<void>;
  /** Ends the channel now. What waits rejects with the reason. */
  abort(reason?: unknown): void;
}

/** Options for {@linkcode channel}. */
export interface ChannelOptions<In, Out> extends FrameLimits {
  /**
   * How payloads are framed.
   *
   * @default {lengthPrefixed()}
   */
  format?: FrameFormat;
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
   * The bytes that may be queued for sending before `send` waits.
   *
   * @default {131072}
   */
  highWaterMark?: number;
  /**
   * The longest that each `send` and `receive` waits, in milliseconds, unless it
   * is told otherwise.
   *
   * @default {Infinity}
   */
  timeout?: number;
  /**
   * The longest that the peer may leave a frame partial, in milliseconds; then
   * the channel is aborted. Time in which this side doesn't read is not counted,
   * and a frame that began behind others may get up to twice as long.
   *
   * @default {30000}
   */
  partialFrameTimeout?: number;
  /**
   * The longest that `close` waits for the duplex to take another piece, in
   * milliseconds; then the channel is aborted.
   *
   * @default {5000}
   */
  closeTimeout?: number;
  /**
   * All of the above in one object, which goes before them: `send`, `receive`,
   * `partialFrame` and `close`. `exchange` bounds each `exchange` of `@sluice/ipc/delivery`; the
   * others are for what makes connections.
   */
  timeouts?: Timeouts;
}
