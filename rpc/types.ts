import type { Context, Metadata } from "./context.ts";
import type { Session } from "./session.ts";
import type { RemoteStream } from "./remote_stream.ts";

/** Any function, whatever its `this` and its parameters. */
// deno-lint-ignore no-explicit-any
export type AnyFunction = (this: any, ...args: any[]) => any;

/** Options of one call. */
export interface CallOptions {
  /** Cancels the call here and at the peer: it rejects with the reason. */
  signal?: AbortSignal;
  /**
   * The longest wait for the answer in milliseconds. It travels with the call,
   * so that the peer stops too; then the call rejects with a `DOMException`
   * named `TimeoutError`. For a stream: the wait until it starts.
   *
   * @default {Infinity}
   */
  timeout?: number;
  /** Goes with the call, such as `{ traceparent }` or a token. */
  metadata?: Metadata;
}

/** Names that no handler can have. */
export type ReservedName = "then" | "constructor" | "__proto__" | `$${string}`;

/** Whether `T` is `any`. */
export type IsAny<T> = 0 extends (1 & T) ? true : false;

/** A callback as its owner writes it: it may be sync. Anything else is `T`. */
export type ClientCallback<T> = T extends (...args: infer A) => infer R
  ? (...args: A) => Awaited<R> | Promise<Awaited<R>>
  : T;

/** Objects that have methods and are values all the same. */
export type MethodfulValue =
  | Date
  | ArrayBufferView
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | readonly unknown[]
  // deno-lint-ignore no-explicit-any
  | AsyncIterable<any>;

/**
 * What a caller passes for a parameter of type `T`: a callback, also one in an
 * object, may be sync where the handler sees an async one; all else is `T`.
 */
export type ClientArgument<T> = IsAny<T> extends true ? T
  : T extends AnyFunction ? ClientCallback<T>
  : T extends MethodfulValue ? T
  : T extends object ? Extract<T[keyof T], AnyFunction> extends never ? T
    : { [K in keyof T]: ClientCallback<T[K]> }
  : T;

/** What a caller gets for a handler that returns `R`. */
export type ClientResult<R> = IsAny<R> extends true ? Promise<R>
  : [Awaited<R>] extends [never] ? Promise<never>
  : Awaited<R> extends ReadableStream<infer T>
    ? Promise<ReadableStream<T>> & AsyncIterable<T>
  : Awaited<R> extends AsyncIterable<infer T>
    ? Promise<RemoteStream<T>> & AsyncIterable<T>
  : Promise<Awaited<R>>;

/** A handler's type as its caller sees it: without `this`, and async. */
export type ClientMethod<F> = F extends
  (this: infer _This, ...args: infer A) => infer R
  ? (...args: { [I in keyof A]: ClientArgument<A[I]> }) => ClientResult<R>
  : never;

/** The methods of a {@linkcode Client}, nested as the handlers are. */
export type ClientMethods<T> = {
  readonly [
    K in keyof T as K extends string ? K extends ReservedName ? never
      : T[K] extends object ? K
      : never
      : never
  ]: T[K] extends AnyFunction ? ClientMethod<T[K]> : ClientMethods<T[K]>;
};

/** The methods as notifications: nothing comes back, not even an error. */
export type NotifyMethods<T> = {
  readonly [
    K in keyof T as K extends string ? K extends ReservedName ? never
      : T[K] extends object ? K
      : never
      : never
  ]: T[K] extends AnyFunction ? (
      ...args: Parameters<ClientMethod<T[K]>>
    ) => Promise<void>
    : NotifyMethods<T[K]>;
};

/** What a {@linkcode Client} has besides the methods of its contract. */
export interface ClientControls<T> extends AsyncDisposable {
  /**
   * The same client with options for the calls made through what it returns:
   * `api.$with({ timeout: 1_000 }).add(1, 2)`.
   */
  readonly $with: (options: CallOptions) => Client<T>;
  /** Calls without an answer; resolves when the message was accepted. */
  readonly $notify: NotifyMethods<T>;
  /** The connection: close, drain, describe, ping. */
  readonly $session: Session;
}

/**
 * A typed proxy for the handlers of type `T` at the other side:
 * `client<typeof handlers>(duplex)`.
 */
export type Client<T> = ClientMethods<T> & ClientControls<T>;

/**
 * What {@linkcode serve} takes: functions, or objects of functions. Only own
 * enumerable properties count, and names that start with `$` are reserved.
 */
export type Handlers<T> = {
  readonly [K in keyof T]: K extends ReservedName ? never
    : T[K] extends AnyFunction ? T[K]
    : T[K] extends object ? Handlers<T[K]>
    : never;
};

/**
 * A handler from a function that takes the {@linkcode Context} as its first
 * parameter, for arrow functions, which have no `this`.
 *
 * @example An arrow function with its context
 * ```ts
 * import { withContext } from "@sluice/ipc/rpc";
 *
 * const handlers = {
 *   wait: withContext((context, text: string) =>
 *     context.signal.aborted ? "" : text
 *   ),
 * };
 * if (typeof handlers.wait !== "function") throw new Error("No handler");
 * ```
 *
 * @param handler Takes the context, then the caller's arguments.
 * @returns The handler to list.
 */
export function withContext<A extends unknown[], R>(
  handler: (context: Context, ...args: A) => R,
): (this: Context, ...args: A) => R {
  return function (this: Context, ...args: A): R {
    return handler(this, ...args);
  };
}
