// The pool behind createPool: what is asked for, and what is there for it.

import type { Connection, WaitOptions } from "../duplex.ts";
import { checkFunction } from "../_async/check.ts";
import {
  checkTimeout,
  MAX_TIMER,
  timeoutError,
  within,
} from "../_async/wait.ts";
import type { Lease, Pool, PoolCounters, PoolOptions } from "./pool.ts";
import type { PoolEntry } from "./pool_entry.ts";
import { PoolFiller } from "./pool_filler.ts";
import { PoolIdle } from "./pool_idle.ts";
import { poolClosed, PoolLeases } from "./pool_leases.ts";
import { type PoolLimits, resolvePoolLimits } from "./pool_limits.ts";
import { PoolWaiters } from "./pool_waiters.ts";

/** The {@linkcode Pool}. */
export class ConnectionPool<C extends Connection> implements Pool<C> {
  #limits: PoolLimits<C>;
  #waiters = new PoolWaiters<C>();
  #idle: PoolIdle<C>;
  #filler: PoolFiller<C>;
  #leases: PoolLeases<C>;
  #checking = 0;
  #expired = 0;
  #discarded = 0;
  /** Closes that are under way. */
  #ending = new Set<Promise<void>>();
  #closing: Promise<void> | undefined;
  #stop = new AbortController();
  #emptied = Promise.withResolvers<void>();
  #giveUp = new AbortController();

  constructor(
    connect: (options: { signal: AbortSignal }) => Promise<C>,
    options: PoolOptions<C>,
  ) {
    checkFunction("connect", connect);
    const limits = this.#limits = resolvePoolLimits(options);
    this.#leases = new PoolLeases({
      timeout: limits.leaseTimeout,
      onReleased: (entry) => {
        if (entry.reusable && entry.isSent) this.#putBack(entry);
        else this.#discard(entry);
        this.#settled();
      },
      onDiscarded: (entry, reason) => {
        this.#discard(entry, reason);
        this.#settled();
      },
    });
    this.#idle = new PoolIdle({
      timeout: limits.idleTimeout,
      spare: () => this.#size - limits.min,
      onSpoiled: (entry) => this.#discard(entry),
      onExpired: (entry) => this.#expire(entry),
      onFreed: () => this.#settled(),
    });
    this.#filler = new PoolFiller({
      connect,
      timeout: limits.connectTimeout,
      lifetime: limits.lifetime,
      stop: this.#stop.signal,
      isOver: () => this.#closing !== undefined,
      missing: () => limits.min - this.#size,
      onOpened: (entry) => {
        if (this.#closing === undefined) this.#give(entry);
        else this.#discard(entry);
      },
      onFailed: (error) => this.#waiters.rejectFirst(error),
      onBroken: this.#idle.evict,
      onSettled: () => this.#settled(),
    });
    this.#filler.fill();
  }

  async acquire(options: WaitOptions = {}): Promise<Lease<C>> {
    const { signal, timeout = this.#limits.acquireTimeout } = options;
    checkTimeout("timeout", timeout);
    signal?.throwIfAborted();
    if (this.#closing !== undefined) throw poolClosed();
    const { check, max, maxWaiters } = this.#limits;
    if (this.#waiters.size === 0 && check === undefined) {
      const entry = this.#idle.take();
      if (entry?.isSilent) return this.#leases.give(entry);
      if (entry !== undefined) this.#examine(entry);
    }
    const busy = this.#size - this.#idle.size;
    if (this.#waiters.size >= maxWaiters && busy >= max) {
      throw new Deno.errors.Busy(
        `Cannot lease a connection: ${this.#waiters.size} callers wait ` +
          `for the ${max} of the pool, as many as maxWaiters allows`,
      );
    }
    const lease = this.#waiters.add(signal, timeout, () =>
      timeoutError(
        `Cannot lease a connection: ${this.#leases.size} of ${max} are leased`,
        timeout,
      ));
    this.#serve();
    return await lease;
  }

  async use<T>(
    work: (connection: C) => T | Promise<T>,
    options?: WaitOptions,
  ): Promise<T> {
    const lease = await this.acquire(options);
    try {
      const result = await work(lease.connection);
      lease.release();
      return result;
    } catch (error) {
      lease.discard(error);
      throw error;
    }
  }

  counters(): PoolCounters {
    return {
      idle: this.#idle.size + this.#checking,
      leased: this.#leases.size,
      connecting: this.#filler.connecting,
      waiting: this.#waiters.size,
      opened: this.#filler.opened,
      failed: this.#filler.failed,
      acquired: this.#leases.given,
      expired: this.#expired,
      discarded: this.#discarded,
      lost: this.#leases.lost,
      timedOut: this.#waiters.timedOut,
    };
  }

  drain(options: WaitOptions = {}): Promise<void> {
    const { timeout = 10_000, signal } = options;
    try {
      checkTimeout("timeout", timeout);
    } catch (error) {
      return Promise.reject(error);
    }
    const giveUp = () => this.#giveUp.abort();
    const done = this.#closing ??= this.#close();
    if (signal?.aborted) giveUp();
    else signal?.addEventListener("abort", giveUp, { once: true });
    const timer = timeout <= MAX_TIMER
      ? setTimeout(giveUp, timeout)
      : undefined;
    done.finally(() => {
      if (timer !== undefined) clearTimeout(timer);
      signal?.removeEventListener("abort", giveUp);
    });
    return done;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drain();
  }

  /** How many places are taken. */
  get #size(): number {
    return this.#idle.size + this.#checking + this.#filler.connecting +
      this.#leases.size;
  }

  /** Gets what the waiters need: idle ones first, then new ones. */
  #serve(): void {
    const { check, max } = this.#limits;
    while (this.#waiters.size > this.#checking) {
      const entry = this.#idle.take();
      if (entry === undefined) break;
      if (check === undefined && entry.isSilent) this.#give(entry);
      else this.#examine(entry);
    }
    while (
      this.#waiters.size > this.#checking + this.#filler.connecting &&
      this.#size < max
    ) this.#filler.open();
  }

  /** Leases it to whoever has waited longest, or puts it by. */
  #give(entry: PoolEntry<C>): void {
    if (this.#waiters.size === 0) this.#putBack(entry);
    else this.#waiters.resolveFirst(this.#leases.give(entry));
  }

  /** Leases it if it is still good. */
  async #examine(entry: PoolEntry<C>): Promise<void> {
    this.#checking++;
    const good = await this.#passes(entry) && await entry.settle();
    this.#checking--;
    if (good && this.#closing === undefined) this.#give(entry);
    else this.#discard(entry);
    this.#settled();
  }

  /** Whether the user's check finds it good. */
  async #passes(entry: PoolEntry<C>): Promise<boolean> {
    const { check, checkTimeout: timeout } = this.#limits;
    if (check === undefined) return true;
    const end = new AbortController();
    try {
      return await within(
        Promise.resolve(check(entry.connection, { signal: end.signal })),
        "Cannot check a connection",
        { timeout, signal: this.#stop.signal },
      ) === true;
    } catch { // an answer as good as no
      return false;
    } finally {
      end.abort();
    }
  }

  #putBack(entry: PoolEntry<C>): void {
    if (this.#closing !== undefined || entry.isExpired) {
      return this.#expire(entry);
    }
    this.#idle.put(entry);
    if (this.#waiters.size > 0) this.#serve();
  }

  #discard(entry: PoolEntry<C>, reason?: unknown): void {
    this.#discarded++;
    entry.broken = true;
    entry.connection.abort(reason);
  }

  #expire(entry: PoolEntry<C>): void {
    this.#expired++;
    this.#end(entry);
  }

  /** Closes in the background one that was idle: nothing is lost. */
  #end(entry: PoolEntry<C>): void {
    entry.broken = true;
    entry.unwatch();
    const ended = entry.connection.close().catch(() => {})
      .then(() => void this.#ending.delete(ended));
    this.#ending.add(ended);
  }

  /** A place may be free: for a waiter, for `min`, or for the end. */
  #settled(): void {
    if (this.#closing === undefined) {
      this.#serve();
      this.#filler.fill();
    } else if (
      this.#leases.size + this.#filler.connecting + this.#checking === 0
    ) this.#emptied.resolve();
  }

  async #close(): Promise<void> {
    this.#filler.stop();
    const idle = this.#idle.clear();
    await Promise.resolve(); // `#closing` is set
    for (const entry of idle) this.#end(entry);
    this.#waiters.rejectAll(poolClosed());
    this.#stop.abort(poolClosed());
    const abort = () => this.#leases.discardAll(poolClosed());
    this.#giveUp.signal.addEventListener("abort", abort);
    if (this.#giveUp.signal.aborted) abort();
    this.#settled();
    await this.#emptied.promise;
    await Promise.all(this.#ending);
  }
}
