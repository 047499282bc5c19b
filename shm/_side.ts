// Who holds one side of a structure: four words, pid, state, start time.

import { isAlive, type ProcessIdentity } from "../_libc/process.ts";
import { identity } from "./_process.ts";

export const STATE_NONE = 0;
export const STATE_OPEN = 1;
/** The side ended in order. */
export const STATE_CLOSED = 2;

/** Four words of a header: `[pid, state, start time (2)]`. */
export class Side {
  #words: Int32Array;
  #at: number;
  /** Named in messages: "producer". */
  readonly role: string;

  constructor(words: Int32Array, at: number, role: string) {
    this.#words = words;
    this.#at = at;
    this.role = role;
  }

  /** Takes the side for this process, also from a dead one, or throws. */
  claim(what: string): void {
    const words = this.#words;
    const { pid, startTime } = identity();
    while (true) {
      const seen = Atomics.load(words, this.#at);
      if (seen !== 0 && isAlive(this.#read(seen))) {
        throw new Deno.errors.Busy(
          `${what}: process ${seen} is its ${this.role}`,
        );
      }
      // A start time of 0 reads as "alive while the pid is".
      Atomics.store(words, this.#at + 2, 0);
      if (Atomics.compareExchange(words, this.#at, seen, pid) === seen) break;
    }
    // The low half last: it says that both are there.
    Atomics.store(words, this.#at + 3, Number(startTime >> 32n));
    Atomics.store(
      words,
      this.#at + 2,
      Number(BigInt.asIntN(32, startTime)),
    );
    Atomics.store(words, this.#at + 1, STATE_OPEN);
  }

  /** Ends the side in order, for the peer to see, and lets others take it. */
  release(): void {
    if (this.#words.length === 0) return;
    Atomics.store(this.#words, this.#at + 1, STATE_CLOSED);
    Atomics.store(this.#words, this.#at, 0);
  }

  /** Whether it was held once, and let go in order. */
  get ended(): boolean {
    return this.#words.length > 0 &&
      Atomics.load(this.#words, this.#at + 1) === STATE_CLOSED;
  }

  /** Whether a process holds it that no longer runs. */
  get dead(): boolean {
    if (this.#words.length === 0) return false;
    const pid = Atomics.load(this.#words, this.#at);
    return pid !== 0 && !isAlive(this.#read(pid));
  }

  #read(pid: number): ProcessIdentity {
    const low = Atomics.load(this.#words, this.#at + 2) >>> 0;
    const high = Atomics.load(this.#words, this.#at + 3) >>> 0;
    const startTime = low === 0 ? 0n : BigInt(high) << 32n | BigInt(low);
    return { pid, startTime };
  }
}
