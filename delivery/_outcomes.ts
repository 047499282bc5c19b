// What becomes of messages that were sent: who waits to know.

import { MAX_TIMER } from "../_async/wait.ts";
import type { WaitOptions } from "../duplex.ts";

interface Entry {
  readonly sequence: number;
  resolve(): void;
  reject(error: unknown): void;
}

/** Of the promise that was made last: one closure less for each send. */
let resolveIt: () => void;
let rejectIt: (error: unknown) => void;
const capture = (
  resolve: () => void,
  reject: (error: unknown) => void,
): void => {
  resolveIt = resolve;
  rejectIt = reject;
};

/**
 * Those who wait for the acknowledgement of a message, in the order of the
 * messages: an acknowledgement of many settles from the front.
 */
export class Outcomes {
  #entries: (Entry | undefined)[] = [];
  #head = 0;
  #onProgress: (() => void) | undefined;

  /** Waits for `sequence`, which is the last one that was accepted. */
  add(sequence: number): Promise<void> {
    const outcome = new Promise<void>(capture);
    this.#entries.push({ sequence, resolve: resolveIt, reject: rejectIt });
    return outcome;
  }

  /** Like `add`, with an end. */
  within(
    sequence: number,
    { signal, timeout = Infinity }: WaitOptions,
    error: () => unknown,
  ): Promise<void> {
    const outcome = this.add(sequence);
    if (signal === undefined && timeout > MAX_TIMER) return outcome;
    return new Promise((resolve, reject) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const settle = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", giveUp);
      };
      const giveUp = () => {
        settle();
        reject(error());
      };
      outcome.then(() => (settle(), resolve()), (cause) => {
        settle();
        reject(cause);
      });
      if (signal?.aborted) return giveUp();
      signal?.addEventListener("abort", giveUp, { once: true });
      if (timeout <= MAX_TIMER) timer = setTimeout(giveUp, timeout);
    });
  }

  /** All before `sequence` have arrived. */
  acknowledge(sequence: number): void {
    this.#shift(sequence, (entry) => entry.resolve());
    this.#onProgress?.();
  }

  rejectBefore(sequence: number, error: (sequence: number) => unknown): void {
    this.#shift(sequence, (entry) => entry.reject(error(entry.sequence)));
  }

  rejectAll(error: (sequence: number) => unknown): void {
    this.rejectBefore(Infinity, error);
    this.#onProgress?.();
  }

  #shift(sequence: number, settle: (entry: Entry) => void): void {
    while (this.#head < this.#entries.length) {
      const entry = this.#entries[this.#head]!;
      if (entry.sequence >= sequence) break;
      this.#entries[this.#head++] = undefined;
      settle(entry);
    }
    if (this.#head === this.#entries.length) {
      this.#entries.length = this.#head = 0;
    } else if (this.#head > 1024 && 2 * this.#head > this.#entries.length) {
      this.#entries.splice(0, this.#head);
      this.#head = 0;
    }
  }

  /** Resolves when anything is settled, or the time is over. One at a time. */
  progress(timeout: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = timeout <= MAX_TIMER
        ? setTimeout(() => this.#onProgress?.(), timeout)
        : undefined;
      this.#onProgress = () => {
        clearTimeout(timer);
        this.#onProgress = undefined;
        resolve();
      };
    });
  }
}
