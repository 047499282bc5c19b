/**
 * A stand-in for `@std/testing/types`.
 * @module
 */

/** Fails to compile unless the type argument is `true`. */
export function assertType<T extends true>(
  // deno-lint-ignore no-unused-vars
  expectTrue: T,
): void {}

/** Whether both types are the same. */
export type IsExact<T, U> = (<G>() => G extends T ? 1 : 2) extends
  (<G>() => G extends U ? 1 : 2) ? true : false;
