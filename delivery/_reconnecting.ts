// A channel that is a new one for each connection.

import {
  type Connection,
  ConnectionClosedError,
  type Duplex,
  type WaitOptions,
} from "../duplex.ts";
import { deadline, within } from "../_async/wait.ts";
import { closedHere, endedByPeer } from "../framing/_channel_errors.ts";
import { type Channel, channel, FrameError } from "../framing/mod.ts";
import { DeliveryError } from "./delivery_error.ts";
import { Reconnector } from "./_reconnector.ts";
import type {
  ReconnectingChannel,
  ReconnectingChannelOptions,
} from "./reconnecting_types.ts";
import type { Connector, DeliveryState } from "./reliable_types.ts";
import { iteration, messageStream } from "./_streams.ts";
import { resolveTimeouts } from "./_timeouts.ts";

/** Channels that are gone and whose messages nobody took yet. */
const MAX_UNREAD = 64;
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
  /** The channel that takes messages now. */
  #current: Channel<In, Out> | undefined;
  /** Those that may still have messages, the oldest first. */
  #unread: Channel<In, Out>[] = [];
  /** Resolves when there is another channel, or none will come. */
  #changed = Promise.withResolvers<void>();
  #done = Promise.withResolvers<void>();
  /** Why it is over, once it is. */
  #end: unknown;
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
    this.closed = this.#done.promise;
    this.closed.catch(() => {}); // nobody has to listen
    this.#reconnector = new Reconnector({
      connect,
      options: options.reconnect,
      timeout: this.#timeouts.connect,
      use: (duplex, signal, attempts) => this.#use(duplex, signal, attempts),
      onFailed: (error) => this.#report(error, 0),
      onGiveUp: (error) =>
        this.abort(
          new ConnectionClosedError(
            "Cannot use the channel: there is no connection, and no more tries",
            { code: "lost", cause: error },
          ),
        ),
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
      if (this.#end !== undefined) throw this.#end;
    } catch (error) {
      inner.abort(error);
      throw error;
    }
    const start = performance.now();
    this.connections++;
    this.state = "connected";
    this.#current = inner;
    this.#unread.push(inner);
    if (this.#unread.length > MAX_UNREAD) this.#unread.shift()!.abort();
    this.#change();
    if (this.connections > 1) this.#tell(attempts);
    return { ended: this.#watch(inner, ended, start) };
  }

  async #watch(
    inner: Channel<In, Out>,
    ended: Promise<void>,
    start: number,
  ): Promise<{ useful: boolean }> {
    const error = await Promise.race([
      ended.then(() => endedByPeer()),
      inner.closed.then(() => endedByPeer(), (error) => error),
    ]);
    // What is left of a frame may show only when what came before was taken.
    inner.closed.catch((cut) => {
      if (cut !== error && cut instanceof FrameError) this.#report(cut, 0);
    });
    if (this.#current === inner) this.#current = undefined;
    if (this.#end === undefined && this.#closing === undefined) {
      this.state = "disconnected";
      this.#report(error, inner.queuedBytes);
    }
    return { useful: performance.now() - start > USEFUL };
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
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
    return this.#current?.queuedBytes ?? 0;
  }

  send(message: Out, options: WaitOptions = {}): Promise<void> {
    return this.#within("Cannot send", {
      signal: options.signal,
      timeout: options.timeout ?? this.#timeouts.send,
    }, (signal) => this.#send(message, signal));
  }

  async #send(message: Out, signal?: AbortSignal): Promise<void> {
    for (;;) {
      const inner = this.#current;
      if (inner === undefined) {
        await this.#waitForChange(signal);
        continue;
      }
      try {
        if (this.#options.validate?.out === undefined) {
          if (inner.trySend(message)) return;
        }
      } catch (error) {
        if (!(error instanceof ConnectionClosedError)) throw error;
        // This one is gone, and the message never got in.
        if (this.#current === inner) this.#current = undefined;
        continue;
      }
      try {
        return await inner.send(message, { signal, timeout: Infinity });
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
    if (this.#end !== undefined) throw this.#end;
    try {
      return this.#current?.trySend(message) ?? false;
    } catch (error) {
      if (!(error instanceof ConnectionClosedError)) throw error;
      this.#current = undefined;
      return false;
    }
  }

  receive(options: WaitOptions = {}): Promise<In> {
    return this.#within("Cannot receive", {
      signal: options.signal,
      timeout: options.timeout ?? this.#timeouts.receive,
    }, (signal) => this.#receive(signal));
  }

  async #receive(signal?: AbortSignal): Promise<In> {
    for (;;) {
      const [inner] = this.#unread;
      if (inner === undefined) {
        await this.#waitForChange(signal);
        continue;
      }
      try {
        return await inner.receive({ signal, timeout: Infinity });
      } catch (error) {
        if (signal?.aborted) throw error;
        if (error instanceof FrameError && error.code === "invalid") {
          throw error;
        }
        if (this.#unread[0] === inner) this.#unread.shift();
        inner.close(); // where the server only ended its side
      }
    }
  }

  tryReceive(): In | undefined {
    for (const inner of this.#unread) {
      const message = inner.tryReceive();
      if (message !== undefined) return message;
    }
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

  async #waitForChange(signal?: AbortSignal): Promise<void> {
    if (this.#end !== undefined) throw this.#end;
    await within(this.#changed.promise, "Cannot connect", { signal });
    if (this.#end !== undefined) throw this.#end;
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
    if (this.#end !== undefined) return;
    this.#stop(closedHere());
    const inner = this.#current;
    await inner?.close();
    await inner?.closed.then(this.#done.resolve, this.#done.reject);
    this.#done.resolve();
  }

  abort(reason?: unknown): void {
    if (this.#end !== undefined) return;
    const error = reason ?? closedHere();
    this.#stop(error);
    this.#current?.abort(error);
    this.#done.reject(error);
  }

  #stop(reason: unknown): void {
    this.#end = reason;
    this.state = "closed";
    this.#reconnector.stop();
    this.#detach();
    for (const inner of this.#unread.splice(0)) {
      if (inner !== this.#current) inner.abort(reason);
    }
    this.#change();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The duplex, and the moment in which its peer ends its stream. */
function watchEnd(duplex: Duplex & Partial<Connection>): {
  watched: Duplex;
  ended: Promise<void>;
} {
  const { readable, writable } = duplex;
  const { promise, resolve } = Promise.withResolvers<void>();
  const getReader = () => {
    const reader = readable.getReader();
    reader.closed.then(async () => {
      // The channel sees the end itself first, and a frame that was cut.
      for (let turn = 0; turn < 8; turn++) await undefined;
      resolve();
    }).catch(() => {});
    return reader;
  };
  const watched = {
    readable: { getReader } as unknown as ReadableStream<Uint8Array>,
    writable,
    close: duplex.close && (() => duplex.close!()),
    closed: duplex.closed,
    abort: duplex.abort && ((reason?: unknown) => duplex.abort!(reason)),
  };
  return { watched, ended: promise };
}
