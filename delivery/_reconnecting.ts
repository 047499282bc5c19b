// A channel that is a new one for each connection.

import type { Connection, Duplex, WaitOptions } from "../duplex.ts";
import { deadline, within } from "../_async/wait.ts";
import { closedHere, endedByPeer, peerOf } from "../framing/_channel_errors.ts";
import { type Channel, channel, FrameError } from "../framing/mod.ts";
import { ChannelSeries } from "./_channel_series.ts";
import { Reconnector } from "../_async/reconnector.ts";
import { isTransient, noConnection } from "./_reconnect.ts";
import type {
  ReconnectingChannel,
  ReconnectingChannelOptions,
} from "./reconnecting_types.ts";
import type { Connector, DeliveryState } from "./reliable_types.ts";
import { iteration, messageStream } from "./_streams.ts";
import { resolveTimeouts } from "./_timeouts.ts";
import { watchEnd } from "./_watch_end.ts";

/** A connection that lived so long was good for something, in milliseconds. */
const USEFUL = 1000;

/** The {@linkcode ReconnectingChannel}. */
export class ReconnectingClient<In, Out>
  implements ReconnectingChannel<In, Out> {
  readonly closed: Promise<void>;
  state: DeliveryState = "connecting";
  connections = 0;
  #options: ReconnectingChannelOptions<In, Out>;
  #timeouts: ReturnType<typeof resolveTimeouts>;
  #reconnector: Reconnector;
  #channels: ChannelSeries<In, Out>;
  #done = Promise.withResolvers<void>();
  #closing: Promise<void> | undefined;
  #detach: () => void = () => {};
  #readable: ReadableStream<In> | undefined;
  #writable: WritableStream<Out> | undefined;

  constructor(
    connect: Connector,
    options: ReconnectingChannelOptions<In, Out>,
  ) {
    const { signal, timeouts, timeout } = options;
    this.#options = options;
    this.#timeouts = resolveTimeouts({
      ...timeouts,
      send: timeouts?.send ?? timeout,
      receive: timeouts?.receive ?? timeout,
    });
    this.#channels = new ChannelSeries(options.validate?.out !== undefined);
    this.closed = this.#done.promise;
    this.closed.catch(() => {}); // nobody has to listen
    this.#reconnector = new Reconnector({
      connect,
      options: options.reconnect,
      isTransient,
      timeout: this.#timeouts.connect,
      use: (duplex, signal, attempts) => this.#use(duplex, signal, attempts),
      onFailed: (error) => this.#report(error, 0),
      onGiveUp: (error) => this.abort(noConnection(error)),
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
    attempts: number,
  ): Promise<{ ended: Promise<{ useful: boolean }> }> {
    const { watched, ended } = watchEnd(duplex);
    const inner = channel<In, Out>(watched, this.#options);
    try {
      const greeted = Promise.resolve(this.#options.onConnect?.(inner));
      await within(greeted, "Cannot use the connection", { signal });
      if (this.#channels.end !== undefined) throw this.#channels.end;
    } catch (error) {
      inner.abort(error);
      throw error;
    }
    const start = performance.now();
    this.connections++;
    this.state = "connected";
    this.#channels.add(inner);
    if (this.connections > 1) this.#tell(attempts);
    return { ended: this.#watch(inner, ended, start, peerOf(duplex)) };
  }

  async #watch(
    inner: Channel<In, Out>,
    ended: Promise<void>,
    start: number,
    peer: string | undefined,
  ): Promise<{ useful: boolean }> {
    const error = await Promise.race([
      ended.then(() => endedByPeer(peer)),
      inner.closed.then(() => endedByPeer(peer), (error) => error),
    ]);
    // What is left of a frame may show only when what came before was taken.
    inner.closed.catch((cut) => {
      if (cut !== error && cut instanceof FrameError) this.#report(cut, 0);
    });
    this.#channels.retire(inner);
    if (this.#channels.end === undefined && this.#closing === undefined) {
      this.state = "disconnected";
      this.#report(error, inner.queuedBytes);
    }
    return { useful: performance.now() - start > USEFUL };
  }

  #tell(attempts: number): void {
    try {
      this.#options.onReconnect?.({ attempts });
    } catch { // a hook that throws must not end the channel
    }
  }

  #report(error: unknown, unsentBytes: number): void {
    try {
      this.#options.onDisconnect?.({ error, unsentBytes });
    } catch { // a hook that throws must not end the channel
    }
  }

  get queuedBytes(): number {
    return this.#channels.current?.queuedBytes ?? 0;
  }

  send(message: Out, options: WaitOptions = {}): Promise<void> {
    return this.#within("Cannot send", {
      signal: options.signal,
      timeout: options.timeout ?? this.#timeouts.send,
    }, (signal) => this.#channels.send(message, signal));
  }

  trySend(message: Out): boolean {
    return this.#channels.trySend(message);
  }

  receive(options: WaitOptions = {}): Promise<In> {
    return this.#within("Cannot receive", {
      signal: options.signal,
      timeout: options.timeout ?? this.#timeouts.receive,
    }, (signal) => this.#channels.receive(signal));
  }

  tryReceive(): In | undefined {
    return this.#channels.tryReceive();
  }

  /** Runs `wait` with a signal where anything ends it. */
  async #within<T>(
    what: string,
    options: WaitOptions,
    wait: (signal?: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (options.signal === undefined && options.timeout === Infinity) {
      return await wait();
    }
    using end = deadline(what, options);
    return await wait(end.signal);
  }

  [Symbol.asyncIterator](): AsyncIterator<In> {
    return { next: () => iteration(this.receive()) };
  }

  get readable(): ReadableStream<In> {
    return this.#readable ??= messageStream(this, () => this.close());
  }

  get writable(): WritableStream<Out> {
    return this.#writable ??= new WritableStream<Out>({
      write: (message) => this.send(message),
      close: () => this.close(),
      abort: (reason) => this.abort(reason),
    });
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    if (this.#channels.end !== undefined) return;
    this.#stop(closedHere());
    const inner = this.#channels.current;
    await inner?.close();
    await inner?.closed.then(this.#done.resolve, this.#done.reject);
    this.#done.resolve();
  }

  abort(reason?: unknown): void {
    if (this.#channels.end !== undefined) return;
    const error = reason ?? closedHere();
    this.#stop(error);
    this.#channels.current?.abort(error);
    this.#done.reject(error);
  }

  #stop(reason: unknown): void {
    this.state = "closed";
    this.#channels.stop(reason);
    this.#reconnector.stop();
    this.#detach();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
