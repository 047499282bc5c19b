// The calls that the peer makes.

import type { CallId } from "./protocol.ts";
import type { Extras, Link } from "./_link.ts";
import type { Handler, MethodTable } from "./_methods.ts";
import type { MethodDescription } from "./session.ts";
import type { Callbacks } from "./_callbacks.ts";
import type { Streams } from "./_streams.ts";
import { Answers, type AnswersHost } from "./_answers.ts";
import { applyExtras } from "./_extras.ts";
import { isControl, isWithinDepth, methodNotFound } from "./_methods.ts";
import { isPlainObject } from "./_values.ts";
import { RpcError } from "./errors.ts";
import { throughMiddleware } from "./_middleware.ts";
import { ServedCall } from "./_served_call.ts";
import { MAX_TIMER, timeoutError } from "../_async/wait.ts";
import { violation } from "./_link.ts";

interface Queued {
  call: ServedCall;
  handler: Handler;
  params: unknown[];
}

const ping: Handler = () => null;

/** Runs handlers, at most so many at a time. */
export class Callee implements AnswersHost {
  #link: Link;
  #streams: Streams;
  #callbacks: Callbacks;
  #answers: Answers;
  #methods: MethodTable;
  /** Calls that wait for their answer. */
  #calls = new Map<CallId, ServedCall>();
  /** Handlers that have not settled. */
  #running = new Set<ServedCall>();
  #queue: Queued[] = [];
  /** What the last message brought for the call that follows it. */
  #extras: { id: unknown; extras: Extras } | undefined;
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
    this.#answers = new Answers(link, streams, this);
  }

  get size(): number {
    return this.#running.size + this.#queue.length;
  }

  /** Whether there is anything to call. */
  get serves(): boolean {
    return this.#methods.size > 0;
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
        const timeout = applyExtras(call, params, extras.extras, {
          link: this.#link,
          streams: this.#streams,
          callbacks: this.#callbacks,
        });
        if (timeout !== undefined) this.#startClock(call, timeout);
      }
      if (this.draining && !isControl(call.method)) {
        throw new RpcError(`Cannot serve ${call.method}: draining`, {
          code: "unavailable",
        });
      }
      const handler = this.#find(call, params);
      if (
        this.#running.size < options.maxConcurrentCalls ||
        handler === ping || handler === this.#describe
      ) {
        this.#run(call, handler, params);
      } else this.#enqueue({ call, handler, params });
    } catch (error) {
      if (error instanceof RpcError && error.code === "malformed") throw error;
      this.#answers.fail(call, error);
    }
  }

  #find(call: ServedCall, params: unknown[]): Handler {
    const handler = this.#methods.get(call.method);
    if (handler !== undefined) return handler;
    switch (call.method) {
      case "$callback":
        return this.#callbacks.find(params.shift());
      case "$ping":
        return ping;
      case "$describe":
        if (this.#link.options.describe) return this.#describe;
    }
    throw methodNotFound(call.method);
  }

  #describe = (): MethodDescription[] =>
    [...this.#methods].map(([name, handler]) => ({
      name,
      parameters: handler.length,
    }));

  #startClock(call: ServedCall, timeout: number): void {
    call.deadline = Date.now() + timeout;
    if (timeout > MAX_TIMER) return;
    call.timer = setTimeout(() => this.#expire(call, timeout), timeout);
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
      // Those two lead to no listed handler; all else passes the middleware.
      result = middleware.length === 0 || call.method === "$callback" ||
          call.method === "$ping"
        ? handler.apply(call, params)
        : this.#around(call, handler, params);
    } catch (error) {
      return this.#answers.fail(call, error);
    }
    if (!isThenable(result)) return this.#answers.succeed(call, result);
    // Known before anything is awaited, so that a cancellation finds it.
    call.running = true;
    this.#running.add(call);
    if (call.id !== undefined) this.#calls.set(call.id, call);
    result.then(
      (value) => {
        this.#leave(call);
        this.#answers.succeed(call, value);
        this.#next();
      },
      (error) => {
        this.#leave(call);
        this.#answers.fail(call, error);
        this.#next();
      },
    );
  }

  #around(
    context: ServedCall,
    handler: Handler,
    params: unknown[],
  ): Promise<unknown> {
    const call = { method: context.method, params, context };
    return throughMiddleware(
      this.#link.options.middleware,
      call,
      () => handler.apply(context, call.params),
    );
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
    this.#answers.stop(call, error);
  }

  answered(call: ServedCall): void {
    if (call.id !== undefined && this.#calls.get(call.id) === call) {
      this.#calls.delete(call.id);
    }
  }

  streams(call: ServedCall): void {
    this.#running.add(call); // its end aborts the handler's signal
  }

  streamed(call: ServedCall): void {
    this.#running.delete(call);
    this.#next();
  }

  /** The connection ended: every handler is told to stop. */
  close(error: unknown): void {
    const waiting = this.#queue.map(({ call }) => call);
    this.#queue = [];
    this.#calls.clear();
    for (const call of [...this.#running, ...waiting]) {
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
