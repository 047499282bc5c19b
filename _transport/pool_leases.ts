// The connections of a pool that are in use, and how each comes back.

import { type Connection, ConnectionClosedError } from "../duplex.ts";
import { MAX_TIMER } from "../_async/wait.ts";
import type { Lease } from "./pool.ts";
import type { PoolEntry } from "./pool_entry.ts";

/** What {@linkcode PoolLeases} work with. */
export interface PoolLeasesParts<C extends Connection> {
  /** How long a lease may last, in milliseconds. */
  timeout: number;
  /** Its user has given it back. */
  onReleased: (entry: PoolEntry<C>) => void;
  /** It is of no use any more. */
  onDiscarded: (entry: PoolEntry<C>, reason: unknown) => void;
}

/** What is known of a lease without keeping the lease itself alive. */
interface Held<C extends Connection> {
  readonly entry: PoolEntry<C>;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** Gives leases, and knows which were not given back. */
export class PoolLeases<C extends Connection> {
  /** Leases given so far, and those of them that were never given back. */
  given = 0;
  lost = 0;
  #parts: PoolLeasesParts<C>;
  #held = new Set<Held<C>>();
  /** Knows the leases that nobody can give back any more. */
  #forgotten = new FinalizationRegistry<Held<C>>((held) =>
    this.#lose(
      held,
      new DOMException("The lease was never given back", "AbortError"),
    )
  );

  constructor(parts: PoolLeasesParts<C>) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#held.size;
  }

  give(entry: PoolEntry<C>): Lease<C> {
    const { timeout } = this.#parts;
    const held: Held<C> = { entry, timer: undefined };
    const lease = new PoolLease(this, held);
    this.given++;
    this.#held.add(held);
    this.#forgotten.register(lease, held, held);
    if (timeout <= MAX_TIMER) {
      held.timer = setTimeout(
        () => this.#lose(held, leaseOver(timeout)),
        timeout,
      );
      Deno.unrefTimer(held.timer as unknown as number);
    }
    return lease;
  }

  release(held: Held<C>): void {
    if (this.#end(held)) this.#parts.onReleased(held.entry);
  }

  discard(held: Held<C>, reason: unknown): void {
    if (this.#end(held)) this.#parts.onDiscarded(held.entry, reason);
  }

  discardAll(reason: unknown): void {
    for (const held of [...this.#held]) this.discard(held, reason);
  }

  /** Whether it was held until now. */
  #end(held: Held<C>): boolean {
    if (!this.#held.delete(held)) return false;
    if (held.timer !== undefined) clearTimeout(held.timer);
    this.#forgotten.unregister(held);
    return true;
  }

  #lose(held: Held<C>, reason: DOMException): void {
    if (!this.#held.has(held)) return;
    this.lost++;
    this.discard(held, reason);
  }
}

/** The {@linkcode Lease}. */
class PoolLease<C extends Connection> implements Lease<C> {
  readonly connection: C;
  #leases: PoolLeases<C>;
  #held: Held<C>;

  constructor(leases: PoolLeases<C>, held: Held<C>) {
    this.connection = held.entry.connection;
    this.#leases = leases;
    this.#held = held;
  }

  release(): void {
    this.#leases.release(this.#held);
  }

  discard(reason?: unknown): void {
    this.#leases.discard(this.#held, reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.release();
    return Promise.resolve();
  }
}

/** Why a pool that is closed gives and takes nothing. */
export function poolClosed(): ConnectionClosedError {
  return new ConnectionClosedError(
    "Cannot lease a connection: the pool is closed",
    { code: "closed" },
  );
}

function leaseOver(timeout: number): DOMException {
  return new DOMException(
    `Cannot use the connection: its lease lasted longer than leaseTimeout ` +
      `${timeout} ms`,
    "TimeoutError",
  );
}
