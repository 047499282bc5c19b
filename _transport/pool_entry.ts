// One connection of a pool, and what is known of it.

import type { Connection } from "../duplex.ts";

export class PoolEntry<C extends Connection> {
  readonly connection: C;
  /** When it is too old to be leased again. */
  readonly expires: number;
  /** Since when nobody uses it, once that is looked at. */
  idleSince: number | undefined;
  /** It ended, broke, or was freed. */
  broken = false;

  #watch: ReadableStreamDefaultReader<Uint8Array> | undefined;

  constructor(connection: C, lifetime: number, onBroken: () => void) {
    this.connection = connection;
    this.expires = performance.now() + lifetime * (1 - Math.random() / 10);
    const end = () => {
      this.broken = true;
      onBroken();
    };
    connection.closed.then(end, end);
  }

  /** Whether it is too old. Asking for the time costs. */
  get isExpired(): boolean {
    return this.expires !== Infinity && performance.now() >= this.expires;
  }

  /** Whether a user left it so that another can go on with it. */
  get reusable(): boolean {
    const { readable, writable } = this.connection;
    return !this.broken && !readable.locked && !writable.locked;
  }

  /**
   * Reads while nobody uses it: what comes, an end or bytes that nobody asked
   * for, means that it can't be leased again. A read that is given up leaves its
   * bytes to the next one.
   */
  watch(onSpoiled: () => void): void {
    if (this.#watch !== undefined || !this.reusable) return;
    const reader = this.#watch = this.connection.readable.getReader();
    const spoil = () => {
      if (this.#watch !== reader) return; // given up
      this.broken = true;
      onSpoiled();
    };
    reader.read().then(spoil, spoil);
  }

  unwatch(): void {
    const reader = this.#watch;
    this.#watch = undefined;
    reader?.releaseLock();
  }
}
