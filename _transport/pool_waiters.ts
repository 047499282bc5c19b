// Who waits for a connection of a pool, in order.

import type { Connection } from "../duplex.ts";
import { MAX_TIMER } from "../_async/wait.ts";
import type { Lease } from "./pool.ts";

interface Waiter<C extends Connection> {
  resolve(lease: Lease<C>): void;
  reject(error: unknown): void;
}

/** The callers that wait, the first to come at the front. */
export class PoolWaiters<C extends Connection> {
  /** Callers that waited for too long so far. */
  timedOut = 0;
  #waiters: Waiter<C>[] = [];

  get size(): number {
    return this.#waiters.length;
  }

  /** Waits for `resolveFirst`. The error is made when the time is over. */
  add(
    signal: AbortSignal | undefined,
    timeout: number,
    timeoutError: () => unknown,
  ): Promise<Lease<C>> {
    const { promise, resolve, reject } = Promise.withResolvers<Lease<C>>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const settle = () => {
      if (timer !== undefined) clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    };
    const waiter: Waiter<C> = {
      resolve: (lease) => {
        settle();
        resolve(lease);
      },
      reject: (error) => {
        settle();
        reject(error);
      },
    };
    const leave = (error: unknown) => {
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
      waiter.reject(error);
    };
    const onAbort = () => leave(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    if (timeout <= MAX_TIMER) {
      timer = setTimeout(() => {
        this.timedOut++;
        leave(timeoutError());
      }, timeout);
    }
    this.#waiters.push(waiter);
    return promise;
  }

  resolveFirst(lease: Lease<C>): void {
    this.#waiters.shift()?.resolve(lease);
  }

  rejectFirst(error: unknown): void {
    this.#waiters.shift()?.reject(error);
  }

  rejectAll(error: unknown): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }
}
