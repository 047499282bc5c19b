import type { RemoteStream } from "./remote_stream.ts";

/** Any function, whatever its `this` and its parameters. */
// deno-lint-ignore no-explicit-any
export type AnyFunction = (this: any, ...args: any[]) => any;

/** Names that no handler can have. `$/name` is free: language servers use it. */
export type ReservedName =
  | "then"
  | "toJSON"
  | "constructor"
  | "__proto__"
  | `$${string}`;

/** `K` where a handler can have that name, else `never`. */
export type HandlerName<K> = K extends `$/${string}` ? K
  : K extends ReservedName ? never
  : K extends string ? K
  : never;

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

/** `T` as it arrives: what may be `undefined` may be `null` instead. */
export type Arriving<T> = IsAny<T> extends true ? T
  : [T] extends [void] ? T
  : undefined extends T ? Exclude<T, undefined> | null
  : T;

/** What a caller gets for a handler that returns `R`. */
export type ClientResult<R> = IsAny<R> extends true ? Promise<R>
  : [Awaited<R>] extends [never] ? Promise<never>
  : Awaited<R> extends ReadableStream<infer T>
    ? Promise<ReadableStream<Arriving<T>>> & AsyncIterable<Arriving<T>>
  : Awaited<R> extends AsyncIterable<infer T>
    ? Promise<RemoteStream<Arriving<T>>> & AsyncIterable<Arriving<T>>
  : Promise<Arriving<Awaited<R>>>;

/** A handler's type as its caller sees it: without `this`, and async. */
export type ClientMethod<F> = F extends
  (this: infer _This, ...args: infer A) => infer R
  ? (...args: { [I in keyof A]: ClientArgument<A[I]> }) => ClientResult<R>
  : never;

/** The methods of a {@linkcode Client}, nested as the handlers are. */
export type ClientMethods<T> = {
  readonly [
    K in keyof T as T[K] extends object ? HandlerName<K> : never
  ]: T[K] extends AnyFunction ? ClientMethod<T[K]> : ClientMethods<T[K]>;
};

/** The methods as notifications: nothing comes back, not even an error. */
export type NotifyMethods<T> = {
  readonly [
    K in keyof T as T[K] extends object ? HandlerName<K> : never
  ]: T[K] extends AnyFunction ? (
      ...args: Parameters<ClientMethod<T[K]>>
    ) => Promise<void>
    : NotifyMethods<T[K]>;
};

/**
 * What {@linkcode serve} takes: functions, or objects of functions. Only own
 * enumerable properties count, and names that start with `$` are reserved.
 */
export type Handlers<T> = {
  readonly [K in keyof T]: HandlerName<K> extends never ? never
    : T[K] extends AnyFunction ? T[K]
    : T[K] extends object ? Handlers<T[K]>
    : never;
};
