/**
 * A stand-in for `@std/assert` over `node:assert`.
 * @module
 */
import {
  AssertionError as NodeAssertionError,
  deepStrictEqual,
  match,
  notDeepStrictEqual,
  strictEqual,
} from "node:assert";

// deno-lint-ignore no-explicit-any
type ErrorConstructorLike<E extends Error> = abstract new (...args: any[]) => E;

/** The error that every assertion here throws. */
export class AssertionError extends Error {
  override name = "AssertionError";
}

function run(check: () => void, msg?: string): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof NodeAssertionError)) throw error;
    throw new AssertionError(
      msg === undefined ? error.message : `${error.message}: ${msg}`,
    );
  }
}

/** Throws unless `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg || `Expected ${expr} to be truthy`);
}

/** Throws where `expr` is truthy. */
export function assertFalse(expr: unknown, msg = ""): asserts expr is false {
  if (expr) throw new AssertionError(msg || `Expected ${expr} to be falsy`);
}

/** Throws unless both are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  run(() => deepStrictEqual(actual, expected), msg);
}

/** Throws where both are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  run(() => notDeepStrictEqual(actual, expected), msg);
}

/** Throws unless both are the same value. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  run(() => strictEqual(actual, expected), msg);
}

/** Throws where `actual` is null or undefined. */
export function assertExists<T>(
  actual: T,
  msg?: string,
): asserts actual is NonNullable<T> {
  if (actual === undefined || actual === null) {
    throw new AssertionError(msg ?? `Expected a value, received ${actual}`);
  }
}

/** Throws unless `actual` is an instance of `expectedType`. */
export function assertInstanceOf<
  // deno-lint-ignore no-explicit-any
  T extends abstract new (...args: any[]) => any,
>(
  actual: unknown,
  expectedType: T,
  msg?: string,
): asserts actual is InstanceType<T> {
  if (!(actual instanceof expectedType)) {
    throw new AssertionError(
      msg ?? `Expected an instance of ${expectedType.name}, received ${actual}`,
    );
  }
}

/** Throws unless `actual` holds `expected`. */
export function assertStringIncludes(
  actual: string,
  expected: string,
  msg?: string,
): void {
  if (!actual.includes(expected)) {
    throw new AssertionError(
      msg ?? `Expected ${JSON.stringify(actual)} to include ` +
          JSON.stringify(expected),
    );
  }
}

/** Throws unless `actual` matches. */
export function assertMatch(
  actual: string,
  expected: RegExp,
  msg?: string,
): void {
  run(() => match(actual, expected), msg);
}

/** Throws unless `actual` is greater. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) {
    throw new AssertionError(msg ?? `Expected ${actual} > ${expected}`);
  }
}

/** Throws unless `actual` is greater or equal. */
export function assertGreaterOrEqual<T>(
  actual: T,
  expected: T,
  msg?: string,
): void {
  if (!(actual >= expected)) {
    throw new AssertionError(msg ?? `Expected ${actual} >= ${expected}`);
  }
}

/** Throws unless `actual` is less. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) {
    throw new AssertionError(msg ?? `Expected ${actual} < ${expected}`);
  }
}

/** Throws unless `actual` is less or equal. */
export function assertLessOrEqual<T>(
  actual: T,
  expected: T,
  msg?: string,
): void {
  if (!(actual <= expected)) {
    throw new AssertionError(msg ?? `Expected ${actual} <= ${expected}`);
  }
}

/** Throws. */
export function fail(msg?: string): never {
  throw new AssertionError(`Failed assertion${msg ? `: ${msg}` : "."}`);
}

function checkError<E extends Error>(
  error: unknown,
  ErrorClass: ErrorConstructorLike<E> | undefined,
  msgIncludes: string | undefined,
): asserts error is E {
  if (!(error instanceof Error)) {
    throw new AssertionError(
      `Expected an Error to be thrown, received ${error}`,
    );
  }
  if (ErrorClass !== undefined && !(error instanceof ErrorClass)) {
    throw new AssertionError(
      `Expected an error of ${ErrorClass.name}, received ${error.name}: ` +
        error.message,
    );
  }
  if (msgIncludes !== undefined) {
    assertStringIncludes(error.message, msgIncludes);
  }
}

/** Throws unless `fn` throws an error of the class. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass?: ErrorConstructorLike<E>,
  msgIncludes?: string,
  msg?: string,
): E {
  try {
    fn();
  } catch (error) {
    checkError<E>(error, ErrorClass, msgIncludes);
    return error;
  }
  throw new AssertionError(msg ?? "Expected the function to throw");
}

/** Rejects unless `fn` rejects with an error of the class. */
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass?: ErrorConstructorLike<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E> {
  try {
    await fn();
  } catch (error) {
    checkError<E>(error, ErrorClass, msgIncludes);
    return error;
  }
  throw new AssertionError(msg ?? "Expected the function to reject");
}
