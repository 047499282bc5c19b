// Places that processes hold and that are taken back from the dead.

import type { WaitOptions } from "../duplex.ts";
import { ownWord, pidOf, wordAlive } from "./_identity_word.ts";
import { poll } from "./_poll.ts";

/** The longest pause of a waiter between two looks, in milliseconds. */
const MAX_PAUSE = 4;
/** How long a holder is left in peace before it is looked up, in ms. */
const PATIENCE = 5;

/** A place that was taken. */
export interface Taken {
  slot: number;
  ownerDied: boolean;
}

/** Words of 64 bits, each 0 or its owner. */
export class OwnerSlots {
  #words: BigInt64Array;
  #what: string;

  constructor(words: BigInt64Array, what: string) {
    this.#words = words;
    this.#what = what;
  }

  /** How many are held now. */
  get held(): number {
    let count = 0;
    for (let i = 0; i < this.#words.length; i++) {
      if (Atomics.load(this.#words, i) !== 0n) count++;
    }
    return count;
  }

  /** Takes a free place. */
  tryTake(): Taken | undefined {
    this.#check();
    const own = ownWord();
    for (let slot = 0; slot < this.#words.length; slot++) {
      if (Atomics.compareExchange(this.#words, slot, 0n, own) === 0n) {
        return { slot, ownerDied: false };
      }
    }
    return undefined;
  }

  /** Takes a place from an owner that died. Reads `/proc` for each. */
  tryInherit(): Taken | undefined {
    this.#check();
    const own = ownWord();
    for (let slot = 0; slot < this.#words.length; slot++) {
      const owner = Atomics.load(this.#words, slot);
      if (owner === 0n || wordAlive(owner)) continue;
      // Of several that noticed, the exchange lets one through.
      if (Atomics.compareExchange(this.#words, slot, owner, own) === owner) {
        return { slot, ownerDied: true };
      }
    }
    return undefined;
  }

  /** Waits for a place. */
  async take(options: WaitOptions): Promise<Taken> {
    let looked = performance.now();
    return await poll(
      () => {
        const taken = this.tryTake();
        if (taken !== undefined) return taken;
        const now = performance.now();
        if (now - looked < PATIENCE) return undefined;
        looked = now;
        return this.tryInherit();
      },
      this.#what,
      { ...options, maxPause: MAX_PAUSE },
    );
  }

  /** Gives a place back. */
  release(slot: number): void {
    if (this.#words.length === 0) return; // the memory went first
    const own = ownWord();
    const seen = Atomics.compareExchange(this.#words, slot, own, 0n);
    if (seen !== own) {
      throw new Deno.errors.InvalidData(
        `Cannot release: process ${pidOf(seen)} holds it instead of this one`,
      );
    }
  }

  #check(): void {
    if (this.#words.length === 0) {
      throw new Deno.errors.BadResource(
        `${this.#what}: shared memory is closed`,
      );
    }
  }
}
