import type { WaitOptions } from "../duplex.ts";
import type { Channel, ChannelOptions } from "../framing/mod.ts";
import type { DeliveryState, ReconnectOptions } from "./reliable_types.ts";

/** What is known of a connection that a {@linkcode ReconnectingChannel} lost. */
export interface Disconnection {
  /**
   * Why it ended. A `FrameError` of the code `"truncated"` tells of a frame that
   * was cut in half: its message is lost.
   */
  readonly error: unknown;
  /** Bytes of messages that were accepted and never written: they are lost. */
  readonly unsentBytes: number;
}

/**
 * A {@linkcode Channel} that comes back by itself. Made by
 * {@linkcode reconnectingChannel}.
 *
 * @typeParam In The messages that the peer sends.
 * @typeParam Out The messages for the peer.
 */
export interface ReconnectingChannel<In, Out> extends Channel<In, Out> {
  /**
   * Sends a message over the connection that there is, or waits for the next one.
   *
   * @param message The message.
   * @param options `timeout` and `signal` end the wait.
   * @returns Resolves when the message is accepted, not when it arrived.
   * @throws {DeliveryError} With the code `"lost"` if the connection was lost
   * while the message waited for room. The channel goes on.
   * @throws {FrameError} If the message can't be encoded, is invalid, or exceeds
   * a limit.
   * @throws {ConnectionClosedError} If the channel is over.
   */
  send(message: Out, options?: WaitOptions): Promise<void>;
  /** Where it stands. */
  readonly state: DeliveryState;
  /** Connections so far. */
  readonly connections: number;
}

/** Options for {@linkcode reconnectingChannel}. */
export interface ReconnectingChannelOptions<In, Out>
  extends ChannelOptions<In, Out> {
  /** How a lost connection is made anew. */
  reconnect?: ReconnectOptions;
  /**
   * Runs on each new connection before anyone else uses it, to sign in or
   * subscribe. What it throws ends that connection, and another is tried.
   */
  onConnect?: (channel: Channel<In, Out>) => Promise<void> | void;
  /** Told when a connection was made again, with how many tries it took. */
  onReconnect?: (reconnection: { attempts: number }) => void;
  /** Told of each connection that was lost, and of tries that failed. */
  onDisconnect?: (disconnection: Disconnection) => void;
  /** Aborts the channel. */
  signal?: AbortSignal;
}
