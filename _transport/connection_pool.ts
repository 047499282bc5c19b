// The pool behind createPool: who waits, what is idle, what is leased.

import {
  type Connection,
  ConnectionClosedError,
  type WaitOptions,
} from "../duplex.ts";
import { checkFunction, checkInteger } from "../_async/check.ts";
import { checkTimeout, timeoutError, within } from "../_async/wait.ts";
import type { Lease, Pool, PoolCounters, PoolOptions } from "./pool.ts";
import { PoolEntry } from "./pool_entry.ts";

/** The longest delay that `setTimeout` takes. */
const MAX_TIMER = 2 ** 31 - 1;
/** The first and the longest pause before `min` is filled again, in ms. */
const REFILL_PAUSE = 100;
const MAX_REFILL_PAUSE = 10_000;

interface Waiter<C extends Connection> {
  resolve(lease: Lease<C>): void;
  reject(error: unknown): void;
}

export class ConnectionPool<C extends Connection> implements Pool<C> {
  #connect: (options: { signal: AbortSignal }) => Promise<C>;
  #options: Required<Omit<PoolOptions<C>, "check">> & PoolOptions<C>;
  #waiters: Waiter<C>[] = [];
  /** The one used last is at the end, and leased first. */
  #idle: PoolEntry<C>[] = [];
  #checking = 0;
  #connecting = 0;
  #leases = new Map<PoolEntry<C>, () => void>();
  /** Closes that are under way. */
  #ending = new Set<Promise<void>>();
  #closing: Promise<void> | undefined;
  #stop = new AbortController();
  #emptied = Promise.withResolvers<void>();
  #giveUp = new AbortController();
  #watchScheduled = false;
  #sweepTimer: ReturnType<typeof setTimeout> | undefined;
  #refillTimer: ReturnType<typeof setTimeout> | undefined;
  #refillPause = REFILL_PAUSE;
  #total = {
    opened: 0,
    failed: 0,
    acquired: 0,
    expired: 0,
    discarded: 0,
    lost: 0,
    timedOut: 0,
  };
  /** Knows the leases that nobody can give back any more. */
  #forgotten = new FinalizationRegistry<() => void>((lose) => lose());

  constructor(
    connect: (options: { signal: AbortSignal }) => Promise<C>,
    options: PoolOptions<C>,
  ) {
    checkFunction("connect", connect);
    const { min = 0, max = 10, maxWaiters = 1000 } = options;
    checkInteger("max", max, 1);
    checkInteger("min", min, 0, max);
    checkInteger("maxWaiters", maxWaiters, 0);
    this.#connect = connect;
    this.#options = {
      min,
      max,
      maxWaiters,
      idleTimeout: time("idleTimeout", options.idleTimeout, 30_000),
      lifetime: time("lifetime", options.lifetime, Infinity),
      check: options.check,
      checkTimeout: time("checkTimeout", options.checkTimeout, 1_000),
      connectTimeout: time("connectTimeout", options.connectTimeout, 10_000),
      acquireTimeout: time("acquireTimeout", options.acquireTimeout, 10_000),
      leaseTimeout: time("leaseTimeout", options.leaseTimeout, Infinity),
    };
    this.#refill();
  }

  async acquire(options: WaitOptions = {}): Promise<Lease<C>> {
    const { signal, timeout = this.#options.acquireTimeout } = options;
    checkTimeout("timeout", timeout);
    signal?.throwIfAborted();
    if (this.#closing !== undefined) throw closedError();
    if (this.#waiters.length === 0 && this.#options.check === undefined) {
      const entry = this.#takeIdle();
      if (entry !== undefined) return this.#lease(entry);
    }
    const { max, maxWaiters } = this.#options;
    const busy = this.#size - this.#idle.length;
    if (this.#waiters.length >= maxWaiters && busy >= max) {
      throw new Deno.errors.Busy(
        `Cannot lease a connection: ${this.#waiters.length} callers wait ` +
          `for the ${max} of the pool, as many as maxWaiters allows`,
      );
    }
    return await this.#wait(signal, timeout);
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
      idle: this.#idle.length + this.#checking,
      leased: this.#leases.size,
      connecting: this.#connecting,
      waiting: this.#waiters.length,
      ...this.#total,
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
    return this.#idle.length + this.#checking + this.#connecting +
      this.#leases.size;
  }

  #wait(signal: AbortSignal | undefined, timeout: number): Promise<Lease<C>> {
    const { promise, resolve, reject } = Promise.withResolvers<Lease<C>>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const settle = (act: () => void) => {
      if (timer !== undefined) clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      act();
    };
    const leave = (error: unknown) => {
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
      waiter.reject(error);
    };
    const onAbort = () => leave(signal?.reason);
    const waiter: Waiter<C> = {
      resolve: (lease) => settle(() => resolve(lease)),
      reject: (error) => settle(() => reject(error)),
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    if (timeout <= MAX_TIMER) {
      timer = setTimeout(() => {
        this.#total.timedOut++;
        leave(timeoutError(
          `Cannot lease a connection: ${this.#leases.size} of ` +
            `${this.#options.max} are leased`,
          timeout,
        ));
      }, timeout);
    }
    this.#waiters.push(waiter);
    this.#serve();
    return promise;
  }

  /** Gets what the waiters need: idle ones first, then new ones. */
  #serve(): void {
    const { check, max } = this.#options;
    while (this.#waiters.length > this.#checking) {
      const entry = this.#takeIdle();
      if (entry === undefined) break;
      if (check === undefined) this.#give(entry);
      else this.#check(entry, check);
    }
    while (
      this.#waiters.length > this.#checking + this.#connecting &&
      this.#size < max
    ) this.#open();
  }

  /** Leases it to whoever has waited longest, or puts it by. */
  #give(entry: PoolEntry<C>): void {
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) waiter.resolve(this.#lease(entry));
    else this.#putBack(entry);
  }

  async #check(
    entry: PoolEntry<C>,
    check: NonNullable<PoolOptions<C>["check"]>,
  ): Promise<void> {
    const { checkTimeout: timeout } = this.#options;
    const end = new AbortController();
    this.#checking++;
    let good = false;
    try {
      good = await within(
        Promise.resolve(check(entry.connection, { signal: end.signal })),
        "Cannot check a connection",
        { timeout, signal: this.#stop.signal },
      ) === true;
    } catch { // an answer as good as no
    }
    end.abort();
    this.#checking--;
    if (good && entry.reusable && this.#closing === undefined) {
      this.#give(entry);
    } else this.#discard(entry);
    this.#serve();
  }

  async #open(): Promise<void> {
    const { connectTimeout: timeout, lifetime } = this.#options;
    const end = new AbortController();
    this.#connecting++;
    let opening: Promise<C> | undefined;
    try {
      opening = this.#connect({ signal: end.signal });
      const connection = await within(
        opening,
        "Cannot open a connection for the pool",
        { timeout, signal: this.#stop.signal },
      );
      this.#connecting--;
      this.#total.opened++;
      this.#refillPause = REFILL_PAUSE;
      const entry = new PoolEntry(connection, lifetime, () => this.#evict());
      if (this.#closing !== undefined) this.#discard(entry);
      else this.#give(entry);
    } catch (error) {
      end.abort(error);
      opening?.then((late) => late.abort(error)).catch(() => {});
      this.#connecting--;
      if (this.#closing === undefined) {
        this.#total.failed++;
        const waiter = this.#waiters.shift();
        waiter?.reject(error);
        this.#refillLater();
      }
    }
    this.#settled();
  }

  #lease(entry: PoolEntry<C>): Lease<C> {
    const { leaseTimeout } = this.#options;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const token = {};
    let held = true;
    const end = (): boolean => {
      if (!held) return false;
      held = false;
      this.#leases.delete(entry);
      if (timer !== undefined) clearTimeout(timer);
      this.#forgotten.unregister(token);
      return true;
    };
    const release = () => {
      if (!end()) return;
      if (!entry.reusable) this.#discard(entry);
      else this.#putBack(entry);
      this.#settled();
    };
    const discard = (reason?: unknown) => {
      if (!end()) return;
      this.#discard(entry, reason);
      this.#settled();
    };
    const lose = () => {
      if (!held) return;
      this.#total.lost++;
      discard(
        new DOMException("The lease was never given back", "AbortError"),
      );
    };
    const lease: Lease<C> = {
      connection: entry.connection,
      release,
      discard,
      [Symbol.asyncDispose]: () => Promise.resolve(release()),
    };
    this.#total.acquired++;
    this.#leases.set(entry, () => discard(closedError()));
    this.#forgotten.register(lease, lose, token);
    if (leaseTimeout <= MAX_TIMER) {
      timer = setTimeout(lose, leaseTimeout);
      Deno.unrefTimer(timer as unknown as number);
    }
    return lease;
  }

  /** The idle one that was used last, if it is good. */
  #takeIdle(): PoolEntry<C> | undefined {
    for (let entry; (entry = this.#idle.pop()) !== undefined;) {
      entry.unwatch();
      if (!entry.reusable) this.#discard(entry);
      else if (performance.now() >= entry.expires) this.#expire(entry);
      else return entry;
    }
    return undefined;
  }

  #putBack(entry: PoolEntry<C>): void {
    if (this.#closing !== undefined || performance.now() >= entry.expires) {
      return this.#expire(entry);
    }
    entry.idleSince = performance.now();
    this.#idle.push(entry);
    if (this.#waiters.length > 0) return this.#serve();
    this.#watchLater();
    this.#sweepLater();
  }

  /** A read costs: only for those that are idle when the turn is over. */
  #watchLater(): void {
    if (this.#watchScheduled) return;
    this.#watchScheduled = true;
    setImmediate(() => {
      this.#watchScheduled = false;
      for (const entry of this.#idle) entry.watch(() => this.#evict());
    });
  }

  /** Discards the idle ones that broke. */
  #evict(): void {
    const broken = this.#idle.filter((entry) => entry.broken);
    if (broken.length === 0) return;
    this.#idle = this.#idle.filter((entry) => !entry.broken);
    for (const entry of broken) {
      entry.unwatch();
      this.#discard(entry);
    }
    this.#settled();
  }

  #discard(entry: PoolEntry<C>, reason?: unknown): void {
    this.#total.discarded++;
    entry.broken = true;
    entry.connection.abort(reason);
  }

  #expire(entry: PoolEntry<C>): void {
    this.#total.expired++;
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
      this.#refill();
    } else if (this.#leases.size + this.#connecting + this.#checking === 0) {
      this.#emptied.resolve();
    }
  }

  #refill(): void {
    if (this.#refillTimer !== undefined) return; // it waits after a failure
    while (this.#size < this.#options.min) this.#open();
  }

  #refillLater(): void {
    if (this.#options.min === 0 || this.#refillTimer !== undefined) return;
    this.#refillTimer = setTimeout(() => {
      this.#refillTimer = undefined;
      this.#refill();
    }, this.#refillPause * (0.5 + Math.random() / 2));
    Deno.unrefTimer(this.#refillTimer as unknown as number);
    this.#refillPause = Math.min(this.#refillPause * 2, MAX_REFILL_PAUSE);
  }

  #sweepLater(): void {
    if (this.#sweepTimer !== undefined || this.#idle.length === 0) return;
    const { idleTimeout } = this.#options;
    const next = Math.min(
      ...this.#idle.map(({ idleSince, expires }) =>
        Math.min(idleSince + idleTimeout, expires)
      ),
    );
    if (next === Infinity) return;
    const delay = Math.max(1, Math.ceil(next - performance.now()));
    this.#sweepTimer = setTimeout(() => {
      this.#sweepTimer = undefined;
      this.#sweep();
    }, Math.min(delay, MAX_TIMER));
    Deno.unrefTimer(this.#sweepTimer as unknown as number);
  }

  #sweep(): void {
    const { idleTimeout, min } = this.#options;
    const now = performance.now();
    let spare = Math.max(0, this.#size - min);
    const old = this.#idle.filter((entry) => {
      if (now >= entry.expires) return true;
      if (now < entry.idleSince + idleTimeout || spare === 0) return false;
      spare--;
      return true;
    });
    this.#idle = this.#idle.filter((entry) => !old.includes(entry));
    for (const entry of old) this.#expire(entry);
    // Those that `min` keeps are looked at again one idle time later.
    for (const entry of this.#idle) {
      if (now >= entry.idleSince + idleTimeout) entry.idleSince = now;
    }
    this.#sweepLater();
    this.#refill();
  }

  async #close(): Promise<void> {
    if (this.#sweepTimer !== undefined) clearTimeout(this.#sweepTimer);
    if (this.#refillTimer !== undefined) clearTimeout(this.#refillTimer);
    await Promise.resolve(); // `#closing` is set
    for (const waiter of this.#waiters.splice(0)) waiter.reject(closedError());
    this.#stop.abort(closedError());
    for (const entry of this.#idle.splice(0)) this.#end(entry);
    this.#giveUp.signal.addEventListener("abort", () => this.#abortLeases());
    if (this.#giveUp.signal.aborted) this.#abortLeases();
    this.#settled();
    await this.#emptied.promise;
    await Promise.all(this.#ending);
  }

  #abortLeases(): void {
    for (const abort of [...this.#leases.values()]) abort();
  }
}

function time(
  name: string,
  value: number | undefined,
  standard: number,
): number {
  if (value === undefined) return standard;
  if (checkTimeout(name, value) === 0) {
    throw new RangeError(
      `Invalid ${name}: expected milliseconds above 0, received 0`,
    );
  }
  return value;
}

function closedError(): ConnectionClosedError {
  return new ConnectionClosedError(
    "Cannot lease a connection: the pool is closed",
    { code: "closed" },
  );
}
