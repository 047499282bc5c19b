// Waiting for a peer that may answer in a microsecond or in an hour.

import { yieldTurn } from "./_poll.ts";

/** The longest time that a wait spins, in milliseconds. */
const BUDGET = 0.1;
/** So many looks follow each other before other promises run. */
const LOOKS = 8;
/** How long other promises' turns may run without the event loop's, in ms. */
const SLICE = 0.05;
/** The most waits that go to sleep at once before one spins again. */
const MAX_PAUSE = 31;

/**
 * Spins as long as it tends to help: each time that it was in vain, twice as
 * many waits sleep at once before the next try. Between looks other promises
 * run, so that the answer which the peer waits for can be written meanwhile;
 * between slices timers and sockets do.
 */
export class Spinner {
  #pause = 0;
  #skip = 0;

  /** Whether `ready` became true while it spun. */
  async spin(ready: () => boolean): Promise<boolean> {
    if (ready()) return true;
    if (this.#skip > 0) {
      this.#skip--;
      return false;
    }
    let started = 0;
    let slice = 0;
    for (let round = 1;; round++) {
      await undefined;
      for (let i = 0; i < LOOKS; i++) {
        if (!ready()) continue;
        this.#pause = 0;
        return true;
      }
      if ((round & 7) !== 0) continue;
      const now = performance.now();
      if (started === 0) started = slice = now;
      else if (now - started > BUDGET) break;
      else if (now - slice > SLICE) {
        await yieldTurn();
        slice = performance.now();
      }
    }
    this.#pause = Math.min(2 * this.#pause + 1, MAX_PAUSE);
    this.#skip = this.#pause;
    return false;
  }
}
