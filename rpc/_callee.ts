// The calls that the peer makes.

import type { CallId } from "./protocol.ts";
import type { Extras, Link } from "./_link.ts";
import type { Handler, MethodTable } from "./_methods.ts";
import type { MethodDescription } from "./session.ts";
import type { Callbacks } from "./_callbacks.ts";
import { violation } from "./_link.ts";
import { isPlainObject, placeLive, streamKind } from "./_values.ts";
import { isWithinDepth, methodNotFound } from "./_methods.ts";
import { redact, textOnly } from "./_redact.ts";
import { RpcError } from "./errors.ts";
import { ServedCall } from "./_served_call.ts";
import { Streams } from "./_streams.ts";
import { timeoutError } from "../_async/wait.ts";

const MAX_TIMER = 2 ** 31 - 1;

interface Queued {
  call: ServedCall;
  handler: Handler;
  params: unknown[];
}

/** Runs handlers and answers. */
export class Callee {
  #link: Link;
  #streams: Streams;
  #callbacks: Callbacks;
  #methods: MethodTable;
  /** Calls that wait for their answer. */
  #calls = new Map<CallId, ServedCall>();
  /** Handlers that have not settled. */
  #running = new Set<ServedCall>();
  #queue: Queued[] = [];
  /** What the last message brought for the call that follows it. */
  #extras: { id: unknown; extras: Extras } | undefined;
  #onUnsent = (error: unknown, token: unknown): void => {
    const call = token as ServedCall;
    this.#postError(call, call.id!, unsendable(call, error));
  };
  /** No new calls. */
  draining = false;

  constructor(
    link: Link,
    methods: MethodTable,
    streams: Streams,
    callbacks: Callbacks,
  ) {
    this.#link = link;
    this.#streams = streams;
    this.#callbacks = callbacks;
    this.#methods = methods;
  }

  get size(): number {
    return this.#running.size + this.#queue.length;
  }

  /** `$with [id, extras]` */
  onWith([id, extras]: unknown[]): void {
    if (!isPlainObject(extras)) throw violation("Cannot read $with: no object");
    this.#extras = { id, extras: extras as Extras };
  }

  onRequest(id: CallId, method: string, params: unknown[]): void {
    if (this.#calls.has(id)) {
      throw violation(`Cannot read request: call ${id} is running already`);
    }
    this.#begin(new ServedCall(this.#link.session, id, method), params);
  }

  onNotification(method: string, params: unknown[]): void {
    this.#begin(
      new ServedCall(this.#link.session, undefined, method),
      params,
    );
  }

  #begin(call: ServedCall, params: unknown[]): void {
    const { options } = this.#link;
    const extras = this.#extras;
    this.#extras = undefined;
    if (!isWithinDepth(params, options.maxDepth)) {
      throw violation(
        `Cannot read params of ${call.method}: ` +
          `they are nested deeper than maxDepth ${options.maxDepth}`,
      );
    }
    try {
      if (extras !== undefined && extras.id === (call.id ?? null)) {
        this.#apply(call, params, extras.extras);
      }
      if (this.draining) {
        throw new RpcError(`Cannot serve ${call.method}: draining`, {
          code: "unavailable",
        });
      }
      const handler = this.#find(call, params);
      if (this.#running.size < options.maxConcurrentCalls) {
        this.#run(call, handler, params);
      } else this.#enqueue({ call, handler, params });
    } catch (error) {
      if (error instanceof RpcError && error.code === "malformed") throw error;
      this.#fail(call, error);
    }
  }

  #find(call: ServedCall, params: unknown[]): Handler {
    const handler = this.#methods.get(call.method);
    if (handler !== undefined) return handler;
    switch (call.method) {
      case "$callback":
        return this.#callbacks.find(params.shift());
      case "$ping":
        return () => null;
      case "$describe":
        if (this.#link.options.describe) return () => this.#describe();
    }
    throw methodNotFound(call.method);
  }

  #describe(): MethodDescription[] {
    return [...this.#methods].map(([name, handler]) => ({
      name,
      parameters: handler.length,
    }));
  }

  /** Puts streams and callbacks in their places, and starts the clock. */
  #apply(call: ServedCall, params: unknown[], extras: Extras): void {
    const { timeout, metadata, streams = [], callbacks = [] } = extras;
    if (metadata !== undefined) {
      if (!isPlainObject(metadata)) {
        throw violation("Cannot read $with: metadata is no object");
      }
      call.metadata = metadata;
    }
    if (timeout !== undefined) {
      if (typeof timeout !== "number" || !(timeout >= 0)) {
        throw violation("Cannot read $with: timeout is no number of 0 or more");
      }
      call.deadline = Date.now() + timeout;
      if (timeout <= MAX_TIMER) {
        call.timer = setTimeout(() => this.#expire(call, timeout), timeout);
      }
    }
    if (!Array.isArray(streams) || !Array.isArray(callbacks)) {
      throw violation("Cannot read $with: streams or callbacks are no array");
    }
    let refused = "";
    for (const part of streams) {
      if (!Array.isArray(part)) throw violation("Cannot read $with: no stream");
      const [path, ref, kind] = part;
      const stream = this.#streams.receive(ref);
      if (stream === undefined) refused = "maxStreams";
      else {
        (call.streams ??= []).push(stream);
        this.#place(params, path, Streams.present(stream, kind));
      }
    }
    for (const part of callbacks) {
      if (!Array.isArray(part)) {
        throw violation("Cannot read $with: no callback");
      }
      const [path, ref] = part;
      const callback = this.#callbacks.hold(ref);
      if (callback === undefined) refused = "maxCallbacks";
      else {
        (call.callbacks ??= []).push(callback);
        this.#place(params, path, callback.call);
      }
    }
    if (refused !== "") {
      const limit = this.#link.options[refused as "maxStreams"];
      throw new RpcError(
        `Cannot serve ${call.method}: ${refused} ${limit} is reached`,
        { code: "overloaded" },
      );
    }
  }

  #place(params: unknown[], path: unknown, value: unknown): void {
    // `$callback` counts paths without its own first parameter, or with: the
    // sender saw the same array, so they agree.
    if (!placeLive(params, path, value)) {
      throw violation("Cannot read $with: a path leads to no place");
    }
  }

  #enqueue(queued: Queued): void {
    const { maxConcurrentCalls, maxQueuedCalls } = this.#link.options;
    if (this.#queue.length >= maxQueuedCalls) {
      throw new RpcError(
        `Cannot serve ${queued.call.method}: ${this.#running.size} calls run ` +
          `and ${this.#queue.length} wait, maxConcurrentCalls is ` +
          `${maxConcurrentCalls} and maxQueuedCalls ${maxQueuedCalls}`,
        { code: "overloaded" },
      );
    }
    if (queued.call.id !== undefined) {
      this.#calls.set(queued.call.id, queued.call);
    }
    this.#queue.push(queued);
  }

  #run(call: ServedCall, handler: Handler, params: unknown[]): void {
    let result: unknown;
    const { middleware } = this.#link.options;
    try {
      result = middleware.length === 0 || call.method.startsWith("$")
        ? handler.apply(call, params)
        : this.#around(call, handler, params);
    } catch (error) {
      return this.#fail(call, error);
    }
    if (!isThenable(result)) return this.#succeed(call, result);
    // Known before anything is awaited, so that a cancellation finds it.
    call.running = true;
    this.#running.add(call);
    if (call.id !== undefined) this.#calls.set(call.id, call);
    result.then(
      (value) => {
        this.#leave(call);
        this.#succeed(call, value);
        this.#next();
      },
      (error) => {
        this.#leave(call);
        this.#fail(call, error);
        this.#next();
      },
    );
  }

  async #around(
    context: ServedCall,
    handler: Handler,
    params: unknown[],
  ): Promise<unknown> {
    const { middleware } = this.#link.options;
    const call = { method: context.method, params, context };
    const run = async (index: number): Promise<unknown> =>
      index === middleware.length
        ? await handler.apply(context, call.params)
        : await middleware[index](call, () => run(index + 1));
    return await run(0);
  }

  #leave(call: ServedCall): void {
    call.running = false;
    this.#running.delete(call);
  }

  /** Starts those that wait. */
  #next(): void {
    const { maxConcurrentCalls } = this.#link.options;
    while (this.#queue.length > 0 && this.#running.size < maxConcurrentCalls) {
      const { call, handler, params } = this.#queue.shift()!;
      if (!call.answered) this.#run(call, handler, params);
    }
    this.#link.settled();
  }

  #succeed(call: ServedCall, value: unknown): void {
    const kind = streamKind(value);
    if (kind !== undefined) {
      return this.#stream(call, value as AsyncIterable<unknown>, kind);
    }
    if (!this.#answer(call)) return this.#release(call);
    this.#release(call);
    const { id } = call;
    if (id === undefined) return;
    const message = this.#link.wire.result(id, value);
    if (message !== undefined) {
      this.#link.post(message, this.#onUnsent, call);
    }
  }

  #fail(call: ServedCall, error: unknown): void {
    const first = this.#answer(call);
    this.#release(call);
    if (!first) return; // it throws late, when nobody waits any more
    if (call.id !== undefined) return this.#postError(call, call.id, error);
    // Programs tell much that nobody listens to: that is no error.
    if (error instanceof RpcError && error.code === "method-not-found") return;
    this.#link.options.onError(error, this.#link.session);
  }

  /** The answer is a stream: the call lives until that ends. */
  #stream(
    call: ServedCall,
    source: AsyncIterable<unknown>,
    kind: string,
  ): void {
    const streams = this.#streams;
    const { options } = this.#link;
    const { id } = call;
    const refuse = !options.protocol.extensions
      ? new RpcError(
        `Cannot answer ${call.method}: ${options.protocol.name} has no form ` +
          "for a stream without extensions",
        { code: "internal" },
      )
      : streams.canSend
      ? undefined
      : new RpcError(
        `Cannot answer ${call.method}: maxStreams ${options.maxStreams} is ` +
          "reached",
        { code: "overloaded" },
      );
    if (call.answered || id === undefined || refuse !== undefined) {
      discard(source);
      if (refuse !== undefined && !call.answered) {
        return this.#fail(call, refuse);
      }
      this.#answer(call);
      return this.#release(call);
    }
    const stream = streams.send(source, call);
    this.#running.add(call); // its end aborts the handler's signal
    stream.onEnd = () => {
      this.#running.delete(call);
      call.abort(new RpcError("The stream is over", { code: "cancelled" }));
      this.#release(call);
      this.#next();
    };
    this.#answer(call);
    this.#link.postExtension("$stream", [id, stream.id, kind]);
    this.#link.post(this.#link.wire.result(id, null));
  }

  /** Ends the wait of the caller; false where it is over already. */
  #answer(call: ServedCall): boolean {
    if (call.timer !== undefined) clearTimeout(call.timer);
    call.timer = undefined;
    if (call.answered) return false;
    call.answered = true;
    if (call.id !== undefined && this.#calls.get(call.id) === call) {
      this.#calls.delete(call.id);
    }
    return true;
  }

  /** Ends the streams and callbacks that came along. */
  #release(call: ServedCall): void {
    const { streams, callbacks } = call;
    if (streams === undefined && callbacks === undefined) return;
    call.streams = call.callbacks = undefined;
    for (const stream of streams ?? []) stream.return();
    const ids: number[] = [];
    for (const callback of callbacks ?? []) {
      const id = callback.settle();
      if (id !== undefined) ids.push(id);
    }
    if (ids.length > 0) this.#link.postExtension("$release", ids);
  }

  #postError(call: ServedCall, id: CallId, thrown: unknown): void {
    const wire = redact(this.#link, thrown, call);
    this.#post(
      this.#link.wire.error(id, wire),
      () => this.#post(this.#link.wire.error(id, textOnly(wire))),
    );
  }

  #post(message: unknown, fail?: (error: unknown) => void): void {
    if (message !== undefined) this.#link.post(message, fail);
  }

  onCancel(id: CallId): void {
    const call = this.#calls.get(id);
    if (call === undefined) return; // it was answered before it was cancelled
    this.#stop(
      call,
      new RpcError(`Cancelled by the caller`, { code: "cancelled" }),
    );
  }

  #expire(call: ServedCall, timeout: number): void {
    const { message } = timeoutError(`Cannot serve ${call.method}`, timeout);
    call.abort(new DOMException(message, "TimeoutError"));
    this.#stop(call, new RpcError(message, { code: "deadline-exceeded" }));
  }

  /** Answers now. The handler still counts as running until it settles. */
  #stop(call: ServedCall, error: RpcError): void {
    call.abort(error);
    for (const stream of call.streams ?? []) stream.cancel(error);
    const queued = this.#queue.findIndex((entry) => entry.call === call);
    if (queued !== -1) this.#queue.splice(queued, 1);
    const first = this.#answer(call);
    if (!call.running) this.#release(call);
    if (first && call.id !== undefined) this.#postError(call, call.id, error);
  }

  /** The connection ended: every handler is told to stop. */
  close(error: unknown): void {
    this.#queue = [];
    this.#calls.clear();
    for (const call of this.#running) {
      call.answered = true;
      if (call.timer !== undefined) clearTimeout(call.timer);
      call.abort(error);
    }
    this.#running.clear();
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null &&
    typeof (value as PromiseLike<unknown>).then === "function";
}

/** Ends a source that nobody will read. */
function discard(source: AsyncIterable<unknown>): void {
  if (source instanceof ReadableStream) {
    source.cancel().catch(() => {});
    return;
  }
  const returned = source[Symbol.asyncIterator]().return?.();
  Promise.resolve(returned).catch(() => {});
}

function unsendable(call: ServedCall, cause: unknown): RpcError {
  return new RpcError(`Cannot answer ${call.method}: the result has no form`, {
    code: "internal",
    cause,
  });
}
