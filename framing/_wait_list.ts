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
  /** The one that waits longest, where nobody else did when it came. */
  #first: Waiting<T, I> | undefined;
  #others = new Set<Waiting<T, I>>();

  get size(): number {
    return this.#others.size + (this.#first === undefined ? 0 : 1);
  }

  /** Waits for `shift` or `rejectAll`. `what` reads "Cannot receive". */
  add(what: string, item: I, options?: WaitOptions): Promise<T> {
    if (options === undefined) return this.#addUnbounded(item);
    const { signal, timeout = Infinity } = options;
    checkTimeout("timeout", timeout);
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (signal === undefined && timeout > MAX_TIMER) {
      return this.#addUnbounded(item);
    }
    return new Promise((resolve, reject) => {
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
        if (this.#first === entry) this.#first = undefined;
        else this.#others.delete(entry);
        entry.reject(error);
      };
      const onAbort = () => giveUp(signal?.reason);
      signal?.addEventListener("abort", onAbort, { once: true });
      if (timeout <= MAX_TIMER) {
        timer = setTimeout(() => giveUp(timeoutError(what, timeout)), timeout);
      }
      this.#put(entry);
    });
  }

  #addUnbounded(item: I): Promise<T> {
    return new Promise((resolve, reject) =>
      this.#put({ item, resolve, reject })
    );
  }

  /** Most often one waits at a time: a set would cost it more than the wait. */
  #put(entry: Waiting<T, I>): void {
    if (this.size === 0) this.#first = entry;
    else this.#others.add(entry);
  }

  /** Takes the one that waits longest. */
  shift(): Waiting<T, I> | undefined {
    const first = this.#first;
    if (first !== undefined) {
      this.#first = undefined;
      return first;
    }
    if (this.#others.size === 0) return undefined;
    for (const entry of this.#others) {
      this.#others.delete(entry);
      return entry;
    }
  }

  rejectAll(error: unknown): void {
    this.#first?.reject(error);
    this.#first = undefined;
    for (const entry of this.#others) entry.reject(error);
    this.#others.clear();
  }
}
