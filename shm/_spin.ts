// Waiting for a peer that may answer in a microsecond or in an hour.

import { yieldTurn } from "../_async/turn.ts";

/** The longest time that a wait spins, in milliseconds. */
const BUDGET = 0.1;
/**
 * So many times other promises go on after each look: what runs then is often
 * the answer that the peer waits for. After that, looks come in bursts.
 */
const EAGER = 16;
/** Looks in a burst; a microsecond at most. */
const BURST = 48;
/** How long other promises' turns may run without the event loop's, in ms. */
const SLICE = 0.05;
/** The most waits that go to sleep at once before one spins again. */
const MAX_PAUSE = 31;

/**
 * Spins as long as it tends to help: each time that it was in vain, twice as
 * many waits sleep at once before the next try. Between looks other promises
 * run, and between slices timers and sockets do.
 *
 * ```ts ignore
 * for (let looks = spinner.start(); looks > 0; looks = spinner.next()) {
 *   await spinner.pause();
 *   while (looks-- > 0) if (ready()) return spinner.found();
 * }
 * ```
 */
export class Spinner {
  #pause = 0;
  #skip = 0;
  #round = 0;
  #started = 0;
  #slice = 0;
  #yields = false;

  /** How many looks follow the first pause; 0 where it is time to sleep. */
  start(): number {
    if (this.#skip > 0) {
      this.#skip--;
      return 0;
    }
    this.#round = this.#started = 0;
    return 1;
  }

  /** How many looks follow the next pause; 0 where it is time to sleep. */
  next(): number {
    if (++this.#round < EAGER) return 1;
    if ((this.#round & 3) !== 0) return BURST;
    const now = performance.now();
    if (this.#started === 0) this.#started = this.#slice = now;
    else if (now - this.#started > BUDGET) {
      this.#pause = Math.min(2 * this.#pause + 1, MAX_PAUSE);
      this.#skip = this.#pause;
      return 0;
    } else if (now - this.#slice > SLICE) {
      this.#yields = true;
      this.#slice = now;
    }
    return BURST;
  }

  /** Lets others run. */
  pause(): Promise<void> | undefined {
    if (!this.#yields) return undefined;
    this.#yields = false;
    return yieldTurn();
  }

  /** It was worth it: the next wait spins too. */
  found(): void {
    this.#pause = 0;
  }
}
