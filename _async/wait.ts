// Waits that can end. Pure: no Deno API, imports only the contracts and the checks.

import type { WaitOptions } from "../duplex.ts";
import { checkSignal, describe } from "./check.ts";

/** The longest delay that `setTimeout` takes; longer ones fire at once. */
export const MAX_TIMER = 2 ** 31 - 1;

/** The error of a wait that took too long. `what` reads "Cannot connect to x". */
export function timeoutError(what: string, timeout: number): DOMException {
  return new DOMException(
    `${what}: timed out after ${timeout} ms`,
    "TimeoutError",
  );
}

/** Throws where `timeout` is no number of milliseconds. */
export function checkTimeout(name: string, timeout: number): number {
  if (typeof timeout !== "number") {
    throw new TypeError(
      `Invalid ${name}: expected milliseconds, received ${describe(timeout)}`,
    );
  }
  if (!(timeout >= 0)) {
    throw new RangeError(
      `Invalid ${name}: expected milliseconds of 0 or more, received ${timeout}`,
    );
  }
  return timeout;
}

/**
 * Settles as `promise` does, or rejects when the signal aborts or the time is
 * over. The work behind `promise` goes on: use `deadline` where it can be
 * told to stop.
 */
export function within<T>(
  promise: Promise<T>,
  what: string,
  { signal, timeout = Infinity }: WaitOptions = {},
): Promise<T> {
  checkTimeout("timeout", timeout);
  if (signal === undefined && timeout > MAX_TIMER) return promise;
  checkSignal(signal);
  if (signal?.aborted) {
    promise.catch(() => {}); // it has lost its listener
    return Promise.reject(signal.reason);
  }
  return new Promise((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const onAbort = () => settle(() => reject(signal?.reason));
    const settle = (act: () => void) => {
      if (timer !== undefined) clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      act();
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    if (timeout <= MAX_TIMER) {
      timer = setTimeout(
        () => settle(() => reject(timeoutError(what, timeout))),
        timeout,
      );
    }
    promise.then(
      (value) => settle(() => resolve(value)),
      (error) => settle(() => reject(error)),
    );
  });
}

/** A signal that also fires when the time is over. Dispose it when done. */
export interface Deadline extends Disposable {
  /** Aborts with the outer signal's reason or a `TimeoutError`. */
  readonly signal: AbortSignal;
}

/** Makes a {@linkcode Deadline} for work that takes an `AbortSignal`. */
export function deadline(
  what: string,
  { signal, timeout = Infinity }: WaitOptions = {},
): Deadline {
  checkTimeout("timeout", timeout);
  checkSignal(signal);
  const controller = new AbortController();
  const onAbort = () => controller.abort(signal?.reason);
  let timer: ReturnType<typeof setTimeout> | undefined;
  if (signal?.aborted) onAbort();
  else {
    signal?.addEventListener("abort", onAbort, { once: true });
    if (timeout <= MAX_TIMER) {
      timer = setTimeout(
        () => controller.abort(timeoutError(what, timeout)),
        timeout,
      );
    }
  }
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      if (timer !== undefined) clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    },
  };
}

/** Resolves after `milliseconds` (at most 24 days), or rejects with the signal's reason. */
export function sleep(
  milliseconds: number,
  signal?: AbortSignal,
): Promise<void> {
  if (signal?.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, Math.min(milliseconds, MAX_TIMER));
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
