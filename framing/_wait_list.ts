import type { WaitOptions } from "../duplex.ts";
import { checkTimeout, MAX_TIMER, timeoutError } from "../_async/wait.ts";

/** Who waits, with what they brought. */
export interface Waiting<T, I> {
  readonly item: I;
  resolve(value: T | PromiseLike<T>): void;
  reject(error: unknown): void;
}

/**
 * Waits in the order of their arrival. One that was given up is gone at once,
 * so that nothing is handed to nobody.
 */
export class WaitList<T, I> {
  #waiting = new Set<Waiting<T, I>>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Waits for `shift` or `rejectAll`. `what` reads "Cannot receive". */
  add(what: string, item: I, options: WaitOptions = {}): Promise<T> {
    const { signal, timeout = Infinity } = options;
    checkTimeout("timeout", timeout);
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      if (signal === undefined && timeout > MAX_TIMER) {
        this.#waiting.add({ item, resolve, reject });
        return;
      }
      let timer: ReturnType<typeof setTimeout> | undefined;
      const settle = () => {
        if (timer !== undefined) clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
      };
      const entry: Waiting<T, I> = {
        item,
        resolve: (value) => {
          settle();
          resolve(value);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      const giveUp = (error: unknown) => {
        this.#waiting.delete(entry);
        entry.reject(error);
      };
      const onAbort = () => giveUp(signal?.reason);
      signal?.addEventListener("abort", onAbort, { once: true });
      if (timeout <= MAX_TIMER) {
        timer = setTimeout(() => giveUp(timeoutError(what, timeout)), timeout);
      }
      this.#waiting.add(entry);
    });
  }

  /** Takes the one that waits longest. */
  shift(): Waiting<T, I> | undefined {
    for (const entry of this.#waiting) {
      this.#waiting.delete(entry);
      return entry;
    }
  }

  rejectAll(error: unknown): void {
    for (const entry of this.#waiting) entry.reject(error);
    this.#waiting.clear();
  }
}
