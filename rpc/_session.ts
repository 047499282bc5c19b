// One connection with calls in both directions.

import type { Duplex, WaitOptions } from "../duplex.ts";
import type { Peer } from "./peer.ts";
import type { CallOptions } from "./call_options.ts";
import type { Wire } from "./protocol.ts";
import type { Client, MethodDescription, Session } from "./session.ts";
import type { CheckedOptions } from "./_options.ts";
import type { MethodTable } from "./_methods.ts";
import type { ExtensionName, Link } from "./_link.ts";
import type { DuplexChannel } from "../framing/_channel.ts";
import { channel, FrameError } from "../framing/mod.ts";
import { ConnectionClosedError } from "../duplex.ts";
import { deadline, within } from "../_async/wait.ts";
import { Callbacks } from "./_callbacks.ts";
import { Callee } from "./_callee.ts";
import { Caller } from "./_caller.ts";
import { createClient, registerDirect } from "./_proxy.ts";
import { describePeer } from "./_peer.ts";
import { Dispatch } from "./_dispatch.ts";
import { Liveness } from "./_liveness.ts";
import { type Fail, Outbox } from "./_outbox.ts";
import { Parcel } from "./_parcel.ts";
import { Reader } from "./_reader.ts";
import { RpcError } from "./errors.ts";
import { isCode, isMalformed, reasonOf } from "./_session_end.ts";
import { Streams } from "./_streams.ts";
import { Unanswered } from "./_unanswered.ts";
import { toWireError } from "./_wire_error.ts";

/** How long a peer that is told of a drain has to say so, in milliseconds. */
const FAREWELL = 1_000;

/** Extensions that this side sends of its own accord. */
const OWN_ACCORD = new Set(["$with", "$items", "$end", "$cancel", "$drain"]);

/** A {@linkcode Session} over a duplex. */
export class RpcSession implements Session, Link {
  readonly duplex: Duplex;
  readonly peer: Peer;
  readonly closed: Promise<void>;
  readonly options: CheckedOptions;
  readonly wire: Wire;
  readonly streams: Streams;
  readonly callbacks: Callbacks;
  ended: unknown;

  #channel: DuplexChannel<unknown, unknown>;
  #outbox: Outbox;
  #caller: Caller;
  #unanswered: Unanswered;
  #callee: Callee;
  #reader: Reader;
  #liveness: Liveness;
  #done = Promise.withResolvers<void>();
  #closing: Promise<void> | undefined;
  #onSettled: (() => void) | undefined;

  constructor(duplex: Duplex, methods: MethodTable, options: CheckedOptions) {
    this.duplex = duplex;
    this.options = options;
    this.peer = describePeer(duplex, options.credentials);
    this.closed = this.#done.promise;
    this.closed.catch(() => {}); // nobody has to listen
    const { protocol } = options;
    this.wire = protocol.createWire(options);
    this.streams = new Streams(this);
    this.callbacks = new Callbacks(this);
    this.#channel = channel<unknown, unknown>(duplex, {
      format: protocol.format,
      codec: protocol.codec,
      maxFrameLength: options.maxMessageLength,
      highWaterMark: options.highWaterMark,
    }) as DuplexChannel<unknown, unknown>;
    this.#channel.closed.catch(() => {}); // `receive` tells the same
    this.#outbox = new Outbox(
      this.#channel,
      options.stallTimeout,
      (error) => this.#end(error),
    );
    const parcel = new Parcel(this, this.streams, this.callbacks);
    this.#unanswered = new Unanswered(this, this.streams, parcel);
    this.#caller = new Caller(this, parcel, this.#unanswered);
    this.#callee = new Callee(this, methods, this.streams, this.callbacks);
    this.#liveness = new Liveness(this, options);
    this.#reader = new Reader({
      channel: this.#channel,
      wire: this.wire,
      outbox: this.#outbox,
      unanswered: this.#unanswered,
      dispatch: new Dispatch(
        this,
        this.#caller,
        this.#unanswered,
        this.#callee,
      ),
      liveness: this.#liveness,
      onEnd: (cause) => this.#end(cause),
    });
    registerDirect(this, this.#caller);
    this.#reader.run();
  }

  get session(): Session {
    return this;
  }

  get pendingCalls(): number {
    return this.#unanswered.size;
  }

  get runningCalls(): number {
    return this.#callee.size;
  }

  get openStreams(): number {
    return this.streams.size;
  }

  /** Whether the peer takes no new calls. */
  get peerIsDraining(): boolean {
    return this.#caller.peerIsDraining;
  }

  get liveCallbacks(): number {
    return this.callbacks.size;
  }

  client<T>(): Client<T> {
    return createClient<T>(this);
  }

  call(
    method: string,
    { params = [], ...options }:
      & { params?: readonly unknown[] }
      & CallOptions = {},
  ): Promise<unknown> {
    return this.#caller.call(method, params, options);
  }

  notify(
    method: string,
    { params = [], ...options }:
      & { params?: readonly unknown[] }
      & CallOptions = {},
  ): Promise<void> {
    return this.#caller.notify(method, params, options);
  }

  describe(options: WaitOptions = {}): Promise<MethodDescription[]> {
    return this.call("$describe", options) as Promise<MethodDescription[]>;
  }

  async ping(options: WaitOptions = {}): Promise<number> {
    const start = performance.now();
    try {
      await this.call("$ping", options);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error; // any answer will do
    }
    return performance.now() - start;
  }

  get isBehind(): boolean {
    return this.#outbox.length > 0;
  }

  post(message: unknown, fail?: Fail, token?: unknown): void {
    this.#outbox.post(message, fail, token);
    this.#reader.called();
  }

  answer(message: unknown, fail?: Fail, token?: unknown): void {
    this.#outbox.post(message, fail, token, true);
  }

  postExtension(
    name: ExtensionName,
    params: unknown[],
    fail?: Fail,
  ): void {
    const message = this.wire.notification(name, params);
    this.#outbox.post(message, fail, undefined, !OWN_ACCORD.has(name));
  }

  room(limit: number): Promise<void> | undefined {
    return this.#outbox.room(limit);
  }

  settled(): void {
    this.#onSettled?.();
  }

  /** Whether nothing runs, waits or streams out. */
  get isQuiet(): boolean {
    return this.#callee.size === 0 && this.#unanswered.size === 0 &&
      this.streams.sending === 0;
  }

  async drain(options: WaitOptions = {}): Promise<void> {
    try {
      await within(this.#becomeQuiet(), "Cannot drain", options);
    } finally {
      await this.close();
    }
  }

  async #becomeQuiet(): Promise<void> {
    if (this.options.protocol.extensions && this.ended === undefined) {
      this.postExtension("$drain", []);
      // The calls that were on their way come before the answer: they still run,
      // or a peer could not tell whether they did.
      if (this.#callee.serves) {
        using limit = deadline("Cannot drain", { timeout: FAREWELL });
        await this.ping({ signal: limit.signal }).catch(() => {});
      }
    }
    this.#callee.draining = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onSettled = () => {
      if (this.isQuiet || this.ended !== undefined) resolve();
    };
    this.#onSettled();
    await promise;
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    if (this.ended === undefined) {
      this.#stopAll(
        new ConnectionClosedError(
          "Cannot call: the connection was closed on this side",
          { code: "closed" },
        ),
      );
    }
    // A peer that doesn't read must not keep us from closing.
    using limit = deadline("Cannot close", {
      timeout: this.options.stallTimeout,
    });
    limit.signal.addEventListener("abort", () => this.#outbox.close());
    await this.#outbox.flush();
    this.#outbox.close();
    await within(this.#channel.close(), "Cannot close", {
      signal: limit.signal,
    }).catch((error) => this.#channel.abort(error));
    this.#done.resolve();
  }

  abort(reason?: unknown): void {
    this.#end(
      reason ?? new ConnectionClosedError(
        "Cannot call: the connection was aborted on this side",
        { code: "closed" },
      ),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What a log shows of it: not the options, which may hold secrets. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `Session with ${this.peer.address ?? "a duplex"} (${
      this.ended === undefined ? "open" : "over"
    }, ${this.pendingCalls} calls pending, ${this.runningCalls} running)`;
  }

  /** Everything that waits learns why. */
  #stopAll(error: unknown): void {
    this.ended = error;
    this.#reader.stop();
    this.#liveness.stop();
    this.#unanswered.close(error);
    this.streams.close(error);
    this.#callee.close(error);
    this.callbacks.close();
    this.settled();
  }

  /** The connection is over: the peer's end, a fault, or `abort`. */
  #end(cause: unknown): void {
    if (this.ended !== undefined) {
      if (this.#closing === undefined) this.#channel.abort(cause);
      return;
    }
    const clean = isCode(cause, "ended");
    this.#stopAll(reasonOf(cause, this.duplex));
    if (clean) {
      // Nothing can be answered any more, but what was answered still leaves.
      this.#closing ??= this.#finish();
      return;
    }
    if (!isCode(cause, "closed")) this.options.onError(cause, this);
    if (isMalformed(cause)) {
      const wire = toWireError(
        new RpcError((cause as Error).message, { code: "malformed" }),
        false,
      );
      const readable = !(cause instanceof FrameError);
      const message = this.wire.malformed(wire, readable);
      if (message !== undefined) {
        try {
          this.#channel.trySend(message);
        } catch { // it is told on a best effort
        }
      }
      this.#outbox.close();
      this.#closing ??= this.#hangUp(cause);
      return;
    }
    this.#outbox.close();
    this.#channel.abort(cause);
    this.#done.reject(cause);
  }

  async #finish(): Promise<void> {
    await this.#outbox.flush();
    this.#outbox.close();
    await this.#channel.close().catch(() => {});
    this.#done.resolve();
  }

  /** Lets the last message leave, but waits for no peer to take it. */
  async #hangUp(cause: unknown): Promise<void> {
    this.#done.reject(cause);
    await within(this.#channel.close(), "Cannot close", { timeout: 1_000 })
      .catch(() => {});
    this.#channel.abort(cause);
  }
}
