// The connections of a pool that nobody uses: kept, watched, and swept.

import type { Connection } from "../duplex.ts";
import { MAX_TIMER } from "../_async/wait.ts";
import type { PoolEntry } from "./pool_entry.ts";

/** What {@linkcode PoolIdle} works with. */
export interface PoolIdleParts<C extends Connection> {
  /** How long one above `min` may lie here, in milliseconds. */
  timeout: number;
  /** How many the pool has above `min`. */
  spare: () => number;
  /** It broke while it lay here, or was left in no state to be used again. */
  onSpoiled: (entry: PoolEntry<C>) => void;
  /** It is too old, or lay here for too long. */
  onExpired: (entry: PoolEntry<C>) => void;
  /** Some were spoiled, or some expired: places are free. */
  onFreed: () => void;
}

/** Holds what is idle. The one used last is leased first. */
export class PoolIdle<C extends Connection> {
  #parts: PoolIdleParts<C>;
  #entries: PoolEntry<C>[] = [];
  #restScheduled = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(parts: PoolIdleParts<C>) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** The one that was used last, if it is good. */
  take(): PoolEntry<C> | undefined {
    for (let entry; (entry = this.#entries.pop()) !== undefined;) {
      entry.unwatch();
      if (!entry.reusable) this.#parts.onSpoiled(entry);
      else if (entry.isExpired) this.#parts.onExpired(entry);
      else return entry;
    }
    return undefined;
  }

  put(entry: PoolEntry<C>): void {
    entry.idleSince = undefined;
    this.#entries.push(entry);
    this.#restLater();
  }

  /** A read and the time cost: only for those that are idle after the turn. */
  #restLater(): void {
    if (this.#restScheduled) return;
    this.#restScheduled = true;
    setImmediate(() => {
      this.#restScheduled = false;
      if (this.#entries.length === 0) return;
      const now = performance.now();
      for (const entry of this.#entries) {
        entry.idleSince ??= now;
        entry.watch(this.evict);
      }
      this.#sweepLater(now);
    });
  }

  /** Lets go of those that broke. */
  readonly evict = (): void => {
    const broken = this.#entries.filter((entry) => entry.broken);
    if (broken.length === 0) return;
    this.#entries = this.#entries.filter((entry) => !entry.broken);
    for (const entry of broken) {
      entry.unwatch();
      this.#parts.onSpoiled(entry);
    }
    this.#parts.onFreed();
  };

  #sweepLater(now: number): void {
    if (this.#timer !== undefined || this.#entries.length === 0) return;
    const { timeout } = this.#parts;
    const next = Math.min(
      ...this.#entries.map(({ idleSince = now, expires }) =>
        Math.min(idleSince + timeout, expires)
      ),
    );
    if (next === Infinity) return;
    const delay = Math.max(1, Math.ceil(next - now));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#sweep();
    }, Math.min(delay, MAX_TIMER));
    Deno.unrefTimer(this.#timer as unknown as number);
  }

  #sweep(): void {
    const { timeout, spare, onExpired, onFreed } = this.#parts;
    const now = performance.now();
    let left = Math.max(0, spare());
    const old = this.#entries.filter(({ expires, idleSince = now }) => {
      if (now >= expires) return true;
      if (now < idleSince + timeout || left === 0) return false;
      left--;
      return true;
    });
    this.#entries = this.#entries.filter((entry) => !old.includes(entry));
    for (const entry of old) onExpired(entry);
    // Those that `min` keeps are looked at again one idle time later.
    for (const entry of this.#entries) {
      if (now >= (entry.idleSince ?? now) + timeout) entry.idleSince = now;
    }
    this.#sweepLater(now);
    onFreed();
  }

  /** Gives out all, for their end, and looks after none any more. */
  clear(): PoolEntry<C>[] {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    return this.#entries.splice(0);
  }
}
