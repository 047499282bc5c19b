// The calls that this side makes.

import type { CallId } from "./protocol.ts";
import type { CallOptions, Metadata } from "./call_options.ts";
import type { Link } from "./_link.ts";
import type { Callbacks } from "./_callbacks.ts";
import type { OutgoingCall } from "./session_options.ts";
import type { IncomingStream } from "./_incoming_stream.ts";
import { checkRef, violation } from "./_link.ts";
import { iterable } from "./_iterable_call.ts";
import { Parcel } from "./_parcel.ts";
import { Pending, PendingCalls } from "./_pending.ts";
import { checkTimeout, MAX_TIMER, timeoutError } from "../_async/wait.ts";
import { hasLive } from "./_values.ts";
import { fromWireError } from "./_wire_error.ts";
import { isControl, isWithinDepth } from "./_methods.ts";
import { RpcError } from "./errors.ts";
import { throughMiddleware } from "./_middleware.ts";
import { Streams } from "./_streams.ts";

const NO_OPTIONS: CallOptions = {};
const NO_METADATA: Metadata = {};

/** Sends calls and settles them. */
export class Caller {
  #link: Link;
  #streams: Streams;
  #parcel: Parcel;
  #pending = new PendingCalls();
  #onUnsent = (error: unknown, id: unknown): void => {
    this.#fail(id as number, error, true);
  };
  /** The peer takes no new calls. */
  peerIsDraining = false;

  constructor(link: Link, streams: Streams, callbacks: Callbacks) {
    this.#link = link;
    this.#streams = streams;
    this.#parcel = new Parcel(link, streams, callbacks);
  }

  get size(): number {
    return this.#pending.size;
  }

  /** A call, as a promise that can also be iterated. */
  call(
    method: string,
    params: readonly unknown[],
    options: CallOptions = NO_OPTIONS,
  ): Promise<unknown> {
    params = trimmed(params);
    const promise = this.#link.options.callMiddleware.length === 0
      ? this.#start(method, params, options)
      : this.#around(
        method,
        params,
        options,
        false,
        (call) => this.#start(method, call.params, call),
      );
    return iterable(promise);
  }

  /** A call without an answer. */
  notify(
    method: string,
    params: readonly unknown[],
    options: CallOptions = NO_OPTIONS,
  ): Promise<void> {
    params = trimmed(params);
    if (this.#link.options.callMiddleware.length === 0) {
      return this.#tell(method, params, options);
    }
    return this.#around(
      method,
      params,
      options,
      true,
      (call) => this.#tell(method, call.params, call),
    ) as Promise<void>;
  }

  #around(
    method: string,
    params: readonly unknown[],
    options: CallOptions,
    notification: boolean,
    send: (call: OutgoingCall) => Promise<unknown>,
  ): Promise<unknown> {
    const { callMiddleware, timeout } = this.#link.options;
    const call: OutgoingCall = {
      method,
      params,
      metadata: options.metadata ?? NO_METADATA,
      signal: options.signal,
      timeout: options.timeout ?? timeout,
      notification,
    };
    return throughMiddleware(callMiddleware, call, () => send(call));
  }

  #start(
    method: string,
    params: readonly unknown[],
    options: CallOptions,
  ): Promise<unknown> {
    const { signal, metadata } = options;
    const { maxPendingCalls } = this.#link.options;
    const timeout = options.timeout ?? this.#link.options.timeout;
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#link.ended !== undefined) {
      return Promise.reject(this.#link.ended);
    }
    if (this.peerIsDraining && !isControl(method)) {
      return Promise.reject(
        new RpcError(
          `Cannot call ${method}: the peer is draining, connect again`,
          { code: "unavailable" },
        ),
      );
    }
    if (this.#pending.size >= maxPendingCalls) {
      return Promise.reject(
        new RpcError(
          `Cannot call ${method}: ${this.#pending.size} calls are pending, ` +
            `maxPendingCalls is ${maxPendingCalls}`,
          { code: "overloaded" },
        ),
      );
    }
    const pending = new Pending(method, timeout, signal);
    // It is known before anything is sent: an answer can't be too early.
    this.#pending.add(pending);
    const { id } = pending;
    try {
      let sent = params;
      // The timer first: making one may run other tasks, even the answer's.
      if (signal !== undefined || timeout !== Infinity) {
        checkTimeout("timeout", timeout);
        this.#watch(id, pending, signal, timeout);
      }
      if (timeout !== Infinity || metadata !== undefined || hasLive(params)) {
        sent = this.#parcel.send(pending, params, timeout, metadata);
      }
      const message = this.#link.wire.request(id, method, sent);
      this.#link.post(message, this.#onUnsent, id);
    } catch (error) {
      this.#fail(id, error, true);
    }
    return pending.promise;
  }

  #watch(
    id: number,
    pending: Pending,
    signal: AbortSignal | undefined,
    timeout: number,
  ): void {
    const onAbort = () => this.#giveUp(id, signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    const timer = timeout > MAX_TIMER
      ? undefined
      : setTimeout(() => this.#giveUp(id, tooLate(pending), true), timeout);
    pending.clear = () => {
      if (timer !== undefined) clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    };
  }

  /** Stops waiting, and tells the peer. */
  #giveUp(id: number, reason: unknown, own: boolean = false): void {
    const passed = this.#pending.get(id)?.passed;
    if (!this.#fail(id, reason, false, own)) return;
    const message = this.#link.wire.cancel(id);
    if (message !== undefined) this.#link.post(message);
    for (const stream of passed?.streams ?? []) stream.stop();
  }

  /** Rejects; false where the call is over already. */
  #fail(
    id: CallId,
    error: unknown,
    unsent: boolean = false,
    own: boolean = false,
  ): boolean {
    const pending = this.#take(id);
    if (pending === undefined) return false;
    if (unsent) this.#parcel.takeBack(pending.passed);
    pending.stream?.stream.cancel(error);
    if (own) pending.fail(error as Error);
    else pending.reject(error);
    return true;
  }

  async #tell(
    method: string,
    params: readonly unknown[],
    { metadata }: CallOptions,
  ): Promise<void> {
    if (this.#link.ended !== undefined) throw this.#link.ended;
    let sent = params;
    if (metadata !== undefined || hasLive(params)) {
      sent = this.#parcel.send(undefined, params, Infinity, metadata);
    }
    let failed = false;
    let failure: unknown;
    this.#link.post(this.#link.wire.notification(method, sent), (error) => {
      failed = true;
      failure = error;
    });
    await this.#link.room(1);
    if (failed) throw failure;
  }

  /** Ends the wait for `id`, if there is one. */
  #take(id: CallId): Pending | undefined {
    const pending = this.#pending.take(id);
    if (pending === undefined) return undefined;
    pending.clear?.();
    if (this.#pending.size === 0) this.#link.settled();
    return pending;
  }

  /** An answer for a call given up is late; for one never made, a lie. */
  #checkId(id: CallId): void {
    if (!this.#pending.knew(id)) {
      throw violation(`Cannot read answer: call ${id} was never made`);
    }
  }

  onResult(id: CallId, value: unknown): void {
    const pending = this.#take(id);
    if (pending === undefined) return this.#checkId(id);
    if (pending.stream !== undefined) {
      const { stream, kind } = pending.stream;
      this.#bind(stream, pending.signal);
      return pending.resolve(Streams.present(stream, kind));
    }
    const { maxDepth } = this.#link.options;
    if (!isWithinDepth(value, maxDepth)) {
      const error = violation(
        `Cannot read result of ${pending.method}: ` +
          `it is nested deeper than maxDepth ${maxDepth}`,
      );
      pending.reject(error);
      throw error;
    }
    pending.resolve(value);
  }

  onError(id: CallId, value: unknown): void {
    const pending = this.#take(id);
    if (pending === undefined) return this.#checkId(id);
    const error = fromWireError(value);
    pending.stream?.stream.cancel(error);
    pending.fail(
      error.code === "deadline-exceeded" && pending.timeout !== Infinity
        ? tooLate(pending)
        : error,
    );
  }

  /** `$stream [call, id, kind]`: the answer that follows is a stream. */
  onStream([call, ref, kind]: unknown[]): void {
    const id = checkRef(call);
    const pending = this.#pending.get(id);
    if (pending === undefined) {
      this.#checkId(id);
      this.#streams.receive(ref)?.return();
      return;
    }
    if (pending.stream !== undefined) {
      throw violation(`Cannot read answer: call ${id} has two streams`);
    }
    Streams.checkKind(kind);
    const stream = this.#streams.receive(ref);
    if (stream !== undefined) pending.stream = { stream, kind };
    else {
      this.#fail(
        id,
        new RpcError(
          `Cannot take stream of ${pending.method}: ` +
            `maxStreams is ${this.#link.options.maxStreams}`,
          { code: "overloaded" },
        ),
      );
    }
  }

  /** The signal of the call ends the stream too. */
  #bind(stream: IncomingStream, signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const onAbort = () => stream.cancel(signal.reason);
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    stream.onEnd = () => signal.removeEventListener("abort", onAbort);
  }

  /** The connection ended. */
  close(error: unknown): void {
    for (const pending of this.#pending.clear()) {
      pending.clear?.();
      pending.reject(error);
    }
  }
}

/** `f(1, undefined)` is `f(1)`: sent, it would be `null` and no default apply. */
function trimmed(params: readonly unknown[]): readonly unknown[] {
  let { length } = params;
  while (length > 0 && params[length - 1] === undefined) length--;
  return length === params.length ? params : params.slice(0, length);
}

function tooLate(pending: Pending): DOMException {
  return timeoutError(`Cannot call ${pending.method}`, pending.timeout);
}
