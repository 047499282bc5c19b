// Waiting on memory that nobody rings a bell for: spin, yield, then sleep in
// growing steps. Nothing can be lost, as every step looks again.

import type { WaitOptions } from "../duplex.ts";
import { yieldTurn } from "../_async/turn.ts";
import { checkTimeout, sleep, timeoutError } from "../_async/wait.ts";

/** How a wait may pass its time. */
export interface PollOptions extends WaitOptions {
  /** The longest pause between two looks, in milliseconds. */
  maxPause?: number;
  /** Looks for a reason to give up, such as a dead peer; may throw. */
  check?: () => void;
}

/** How long a wait holds the thread before it yields, in milliseconds. */
const SPIN = 0.02;
/** How long it goes on yielding to the event loop, in milliseconds. */
const YIELD = 0.5;
const MAX_PAUSE = 8;
/** How often `check` is asked, in milliseconds: it may read `/proc`. */
const CHECK_INTERVAL = 100;

/** So many waits in a row may find what they want without a turn of the loop. */
const STREAK = 256;
let streak = 0;

/** Calls `attempt` until it gives something. */
export async function poll<T>(
  attempt: () => T | undefined,
  what: string,
  { signal, timeout = Infinity, maxPause = MAX_PAUSE, check }: PollOptions = {},
): Promise<T> {
  checkTimeout("timeout", timeout);
  signal?.throwIfAborted();
  let result = attempt();
  if (result !== undefined) {
    if ((++streak & (STREAK - 1)) === 0) await yieldTurn(); // let timers run
    return result;
  }
  const started = performance.now();
  for (let now = started; now < started + SPIN; now = performance.now()) {
    for (let i = 0; i < 20; i++) {
      if ((result = attempt()) !== undefined) return result;
    }
  }
  let checked = started;
  let pause = 1;
  while (true) {
    const elapsed = performance.now() - started;
    if (elapsed >= timeout) throw timeoutError(what, timeout);
    if (elapsed < YIELD) await yieldTurn();
    else {
      await sleep(Math.min(pause, timeout - elapsed), signal);
      pause = Math.min(pause * 2, maxPause);
    }
    signal?.throwIfAborted();
    if ((result = attempt()) !== undefined) return result;
    if (check !== undefined && performance.now() - checked > CHECK_INTERVAL) {
      checked = performance.now();
      check();
    }
  }
}
