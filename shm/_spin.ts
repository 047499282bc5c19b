// Waiting for a peer that may answer in a microsecond or in an hour.

import { yieldTurn } from "./_poll.ts";

/** The longest time that a wait spins, in milliseconds. */
const MAX_BUDGET = 0.2;
/** Under this it is not worth a start. */
const MIN_BUDGET = 0.01;
/** After so many waits without spinning, one tries again. */
const RETRY = 16;
/** How long other promises' turns may run without the event loop's, in ms. */
const SLICE = 0.05;

/**
 * Spins as long as it tends to help. Between two looks other promises run, so
 * that the answer which the peer waits for can be written meanwhile; between
 * two slices timers and sockets do.
 */
export class Spinner {
  #budget = MAX_BUDGET / 2;
  #skipped = 0;

  /** Whether `ready` became true within the budget. */
  async spin(ready: () => boolean): Promise<boolean> {
    if (ready()) return true;
    if (this.#budget < MIN_BUDGET) {
      if (++this.#skipped < RETRY) return false;
      this.#skipped = 0;
      this.#budget = 4 * MIN_BUDGET;
    }
    const started = performance.now();
    let slice = started;
    for (let i = 0;; i++) {
      await undefined;
      if (ready()) {
        this.#budget = Math.min(this.#budget * 2, MAX_BUDGET);
        return true;
      }
      if ((i & 15) !== 0) continue;
      const now = performance.now();
      if (now - started > this.#budget) break;
      if (now - slice > SLICE) {
        await yieldTurn();
        slice = performance.now();
      }
    }
    this.#budget /= 2;
    return false;
  }
}
