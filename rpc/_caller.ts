// The calls that this side makes.

import type { CallOptions, Metadata } from "./call_options.ts";
import type { Link } from "./_link.ts";
import type { OutgoingCall } from "./session_options.ts";
import { iterable } from "./_iterable_call.ts";
import type { Parcel } from "./_parcel.ts";
import { Pending } from "./_pending.ts";
import { checkTimeout, MAX_TIMER } from "../_async/wait.ts";
import { hasLive } from "./_values.ts";
import { isControl } from "./_methods.ts";
import { RpcError } from "./errors.ts";
import { throughMiddleware } from "./_middleware.ts";
import { tooLate, type Unanswered } from "./_unanswered.ts";

const NO_OPTIONS: CallOptions = {};
const NO_METADATA: Metadata = {};

/** Sends calls, and takes them back. */
export class Caller {
  #link: Link;
  #parcel: Parcel;
  #unanswered: Unanswered;
  #onUnsent = (error: unknown, id: unknown): void => {
    this.#unanswered.fail(id as number, error, true);
  };
  /** The peer takes no new calls. */
  peerIsDraining = false;

  constructor(link: Link, parcel: Parcel, unanswered: Unanswered) {
    this.#link = link;
    this.#parcel = parcel;
    this.#unanswered = unanswered;
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
    if (this.#unanswered.size >= maxPendingCalls) {
      return Promise.reject(
        new RpcError(
          `Cannot call ${method}: ${this.#unanswered.size} calls are pending, ` +
            `maxPendingCalls is ${maxPendingCalls}`,
          { code: "overloaded" },
        ),
      );
    }
    const pending = new Pending(method, timeout, signal);
    // It is known before anything is sent: an answer can't be too early.
    this.#unanswered.add(pending);
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
      this.#unanswered.fail(id, error, true);
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
    const passed = this.#unanswered.get(id)?.passed;
    if (!this.#unanswered.fail(id, reason, false, own)) return;
    const message = this.#link.wire.cancel(id);
    if (message !== undefined) this.#link.post(message);
    for (const stream of passed?.streams ?? []) stream.stop();
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
}

/** `f(1, undefined)` is `f(1)`: sent, it would be `null` and no default apply. */
function trimmed(params: readonly unknown[]): readonly unknown[] {
  let { length } = params;
  while (length > 0 && params[length - 1] === undefined) length--;
  return length === params.length ? params : params.slice(0, length);
}
