// Opens the connections of a pool.

import type { Connection } from "../duplex.ts";
import { describe } from "../_async/check.ts";
import { within } from "../_async/wait.ts";
import { PoolEntry } from "./pool_entry.ts";

/** What a {@linkcode PoolFiller} works with. */
export interface PoolFillerParts<C extends Connection> {
  connect: (options: { signal: AbortSignal }) => Promise<C>;
  /** How long that may take, and how old a connection may get, in ms. */
  timeout: number;
  lifetime: number;
  /** Ends the tries that are under way. */
  stop: AbortSignal;
  /** Nothing more is wanted. */
  isOver: () => boolean;
  /** How many are missing that are to be there also while nobody asks. */
  missing: () => number;
  onOpened: (entry: PoolEntry<C>) => void;
  onFailed: (error: unknown) => void;
  /** One that was opened here broke. */
  onBroken: () => void;
  /** A try is over, well or not. */
  onSettled: () => void;
}

/** The first and the longest pause after a failure, in milliseconds. */
const PAUSE = 100;
const MAX_PAUSE = 10_000;

/** Opens what is asked for, and in the background what is missing. */
export class PoolFiller<C extends Connection> {
  /** Tries that are under way. */
  connecting = 0;
  /** Connections opened, and tries that failed, so far. */
  opened = 0;
  failed = 0;
  #parts: PoolFillerParts<C>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pause = PAUSE;

  constructor(parts: PoolFillerParts<C>) {
    this.#parts = parts;
  }

  async open(): Promise<void> {
    const { connect, timeout, lifetime, stop, onOpened, onBroken } =
      this.#parts;
    const end = new AbortController();
    this.connecting++;
    let opening: Promise<C> | undefined;
    try {
      opening = Promise.resolve(connect({ signal: end.signal }));
      const connection = await within(
        opening,
        "Cannot open a connection for the pool",
        { timeout, signal: stop },
      );
      if (!(connection?.closed instanceof Promise)) {
        throw new TypeError(
          "Cannot open a connection for the pool: expected a Connection from " +
            `connect, received ${describe(connection)}`,
        );
      }
      const entry = new PoolEntry(connection, lifetime, onBroken);
      this.connecting--;
      this.opened++;
      this.#pause = PAUSE;
      onOpened(entry);
    } catch (error) {
      end.abort(error);
      // One that comes too late is not left open.
      opening?.then((late) => late.abort(error)).catch(() => {});
      this.connecting--;
      this.#fail(error);
    }
    this.#parts.onSettled();
  }

  #fail(error: unknown): void {
    if (this.#parts.isOver()) return;
    this.failed++;
    this.#parts.onFailed(error);
    this.#fillLater();
  }

  fill(): void {
    if (this.#timer !== undefined) return; // it waits after a failure
    while (this.#parts.missing() > 0) this.open();
  }

  #fillLater(): void {
    if (this.#parts.missing() <= 0 || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.fill();
    }, this.#pause * (0.5 + Math.random() / 2));
    Deno.unrefTimer(this.#timer as unknown as number);
    this.#pause = Math.min(this.#pause * 2, MAX_PAUSE);
  }

  stop(): void {
    if (this.#timer !== undefined) clearTimeout(this.#timer);
  }
}
