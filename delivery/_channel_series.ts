// Messages through one channel after the other.

import { ConnectionClosedError } from "../duplex.ts";
import { within } from "../_async/wait.ts";
import { type Channel, FrameError } from "../framing/mod.ts";
import { DeliveryError } from "./delivery_error.ts";

/** Channels that are gone and whose messages nobody took yet. */
const MAX_UNREAD = 64;

/** Sends by the channel that there is now; receives from all, in their order. */
export class ChannelSeries<In, Out> {
  /** The channel that takes messages now. */
  current: Channel<In, Out> | undefined;
  /** Why there is no other one any more, once there is none. */
  end: unknown;
  #checksMessages: boolean;
  /** Those that may still have messages, the oldest first. */
  #unread: Channel<In, Out>[] = [];
  /** Resolves when there is another channel, or none will come. */
  #changed = Promise.withResolvers<void>();

  /** With `checksMessages`, a channel's `trySend` may be no way to send. */
  constructor(checksMessages: boolean) {
    this.#checksMessages = checksMessages;
  }

  add(channel: Channel<In, Out>): void {
    this.current = channel;
    this.#unread.push(channel);
    if (this.#unread.length > MAX_UNREAD) this.#unread.shift()!.abort();
    this.#change();
  }

  /** It takes no more; its messages can still be received. */
  retire(channel: Channel<In, Out>): void {
    if (this.current === channel) this.current = undefined;
  }

  stop(reason: unknown): void {
    this.end = reason;
    for (const channel of this.#unread.splice(0)) {
      if (channel !== this.current) channel.abort(reason);
    }
    this.#change();
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async #waitForChange(signal?: AbortSignal): Promise<void> {
    if (this.end !== undefined) throw this.end;
    await within(this.#changed.promise, "Cannot connect", { signal });
    if (this.end !== undefined) throw this.end;
  }

  async send(message: Out, signal?: AbortSignal): Promise<void> {
    for (;;) {
      const channel = this.current;
      if (channel === undefined) {
        await this.#waitForChange(signal);
        continue;
      }
      try {
        if (!this.#checksMessages && channel.trySend(message)) return;
      } catch (error) {
        if (!(error instanceof ConnectionClosedError)) throw error;
        this.retire(channel); // it is gone, and the message never got in
        continue;
      }
      try {
        return await channel.send(message, { signal, timeout: Infinity });
      } catch (error) {
        if (
          signal?.aborted || error instanceof FrameError ||
          error instanceof TypeError
        ) throw error;
        throw new DeliveryError(
          "Cannot deliver a message: it may have arrived (the connection was lost)",
          { code: "lost", maybeDelivered: true, cause: error },
        );
      }
    }
  }

  trySend(message: Out): boolean {
    if (this.end !== undefined) throw this.end;
    try {
      return this.current?.trySend(message) ?? false;
    } catch (error) {
      if (!(error instanceof ConnectionClosedError)) throw error;
      this.current = undefined;
      return false;
    }
  }

  async receive(signal?: AbortSignal): Promise<In> {
    for (;;) {
      const [channel] = this.#unread;
      if (channel === undefined) {
        await this.#waitForChange(signal);
        continue;
      }
      try {
        return await channel.receive({ signal, timeout: Infinity });
      } catch (error) {
        if (signal?.aborted) throw error;
        if (error instanceof FrameError && error.code === "invalid") {
          throw error;
        }
        if (this.#unread[0] === channel) this.#unread.shift();
        channel.close(); // where the server only ended its side
      }
    }
  }

  tryReceive(): In | undefined {
    for (const channel of this.#unread) {
      const message = channel.tryReceive();
      if (message !== undefined) return message;
    }
  }
}
