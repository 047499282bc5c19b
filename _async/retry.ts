// Trying again: exponential backoff with full jitter. Pure: no Deno API.

import { checkInteger, describe } from "./check.ts";
import { checkTimeout, sleep } from "./wait.ts";

/** How often and how fast a connection is tried again. */
export interface RetryOptions {
  /**
   * How many times to try again after the first time. As a rule the `timeout`
   * of the whole is what ends it.
   *
   * @default {Infinity}
   */
  retries?: number;
  /**
   * The longest first wait in milliseconds. It doubles with each try.
   *
   * @default {50}
   */
  minDelay?: number;
  /**
   * The longest wait between two tries in milliseconds.
   *
   * @default {2000}
   */
  maxDelay?: number;
  /**
   * Whether each wait is drawn at random from 0 to its length ("full jitter"),
   * so that many clients of a restarted server don't come back at once.
   *
   * @default {true}
   */
  jitter?: boolean;
}

/** The options with their defaults, checked. */
export function resolveRetry(options: RetryOptions): Required<RetryOptions> {
  const { retries = Infinity, minDelay = 50, maxDelay = 2000, jitter = true } =
    options;
  if (retries !== Infinity) checkInteger("retry.retries", retries, 0);
  checkTimeout("retry.minDelay", minDelay);
  checkTimeout("retry.maxDelay", maxDelay);
  return { retries, minDelay, maxDelay, jitter };
}

/** How long to wait, in milliseconds, after `tried` failed tries before. */
export function retryDelay(
  tried: number,
  { minDelay, maxDelay, jitter }: Required<RetryOptions>,
): number {
  const delay = Math.min(maxDelay, minDelay * 2 ** tried);
  return jitter ? Math.random() * delay : delay;
}

/** Runs `attempt` again while `isTransient` says so and tries are left. */
export async function retrying<T>(
  attempt: () => Promise<T>,
  isTransient: (error: unknown) => boolean,
  options: RetryOptions | boolean | undefined,
  signal: AbortSignal,
): Promise<T> {
  if (!["undefined", "boolean", "object"].includes(typeof options)) {
    throw new TypeError(
      `Invalid retry: expected a boolean or an object, ` +
        `received ${describe(options)}`,
    );
  }
  const retry = resolveRetry(typeof options === "object" ? options : {});
  const tries = options === undefined || options === false ? 0 : retry.retries;
  let last: unknown;
  for (let tried = 0;; tried++) {
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted) throw withLast(error, last);
      if (tried >= tries || !isTransient(error)) throw error;
      last = error;
    }
    try {
      await sleep(retryDelay(tried, retry), signal);
    } catch (error) {
      throw withLast(error, last);
    }
  }
}

/** A timeout that says why the last try failed: that is what has to be mended. */
function withLast(error: unknown, last: unknown): unknown {
  if (!(error instanceof DOMException) || !(last instanceof Error)) {
    return error;
  }
  const [what, time] = error.message.split(": timed out ");
  if (error.name !== "TimeoutError" || time === undefined) return error;
  const why = last.message.replace(`${what}: `, "");
  const timeout = new DOMException(
    `${what}: timed out ${time}, the last try: ${why}`,
    "TimeoutError",
  );
  return Object.defineProperty(timeout, "cause", { value: last });
}
