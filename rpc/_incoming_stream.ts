// The reading end of a stream.

import type { Cost } from "./_cost.ts";
import type { RemoteStream } from "./remote_stream.ts";

/** What the stream tells its session. */
export interface IncomingStreamHost {
  readonly cost: Cost;
  /** So much of the window is free again. */
  credit(id: number, amount: number): void;
  /** Nobody reads any more. */
  stop(id: number): void;
}

interface Waiter {
  resolve(result: IteratorResult<unknown, undefined>): void;
  reject(error: unknown): void;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** Holds at most a window of items that came and were not read yet. */
export class IncomingStream implements RemoteStream<unknown> {
  readonly id: number;
  /** Called once, when the last item was read or reading stopped. */
  onEnd: (() => void) | undefined;
  #host: IncomingStreamHost;
  #window: number;
  /** What the source may still send. */
  #granted: number;
  /** What was read since credit was last given. */
  #freed = 0;
  #batches: unknown[][] = [];
  #position = 0;
  #waiters: Waiter[] = [];
  /** The source told its end, or the connection did. */
  #ended = false;
  #failed = false;
  #error: unknown;
  /** Nobody reads any more. */
  #stopped = false;

  constructor(id: number, window: number, host: IncomingStreamHost) {
    this.id = id;
    this.#host = host;
    this.#window = this.#granted = window;
    host.credit(id, window);
  }

  /** Takes what came. False where it is more than was granted. */
  push(items: unknown[]): boolean {
    if (this.#stopped || this.#ended) return true; // sent before it knew
    for (let index = 0; index < items.length; index++) {
      // Credit may be overdrawn by one item, so that a large one can pass.
      if (this.#granted <= 0) return false;
      this.#granted -= this.#host.cost(items[index]);
    }
    let first = 0;
    while (first < items.length && this.#waiters.length > 0) {
      const value = items[first++];
      this.#free(value);
      this.#waiters.shift()!.resolve({ done: false, value });
    }
    if (first === items.length) return true;
    this.#batches.push(first === 0 ? items : items.slice(first));
    return true;
  }

  /** The source is at its end. What came before can still be read. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#batches.length > 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    this.#finish();
    for (const waiter of waiters) waiter.resolve(DONE);
  }

  /** The source failed, or the connection. */
  fail(error: unknown): void {
    if (this.#ended) return;
    this.#ended = this.#failed = true;
    this.#error = error;
    const waiter = this.#waiters.shift();
    if (waiter === undefined) return;
    this.#failed = false; // told
    waiter.reject(error);
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(DONE);
    this.#finish();
  }

  /** Drops what came, and fails at once: the caller's signal aborted. */
  cancel(reason: unknown): void {
    if (this.#stopped) return;
    this.#batches = [];
    if (!this.#ended) {
      this.#host.stop(this.id);
      this.fail(reason);
    } else { // what came and was not read yet is dropped: that must show
      this.#failed = true;
      this.#error = reason;
    }
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    const batch = this.#batches[0];
    if (batch !== undefined) {
      const value = batch[this.#position++];
      if (this.#position === batch.length) {
        this.#batches.shift();
        this.#position = 0;
      }
      this.#free(value);
      return Promise.resolve({ done: false, value });
    }
    if (this.#failed) {
      this.#failed = false;
      this.#finish();
      return Promise.reject(this.#error);
    }
    if (this.#ended || this.#stopped) {
      this.#finish();
      return Promise.resolve(DONE);
    }
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    if (!this.#stopped) {
      if (!this.#ended) this.#host.stop(this.id);
      this.#batches = [];
      this.#failed = false;
      for (const waiter of this.#waiters.splice(0)) waiter.resolve(DONE);
      this.#finish();
    }
    return Promise.resolve(DONE);
  }

  #free(item: unknown): void {
    this.#freed += this.#host.cost(item);
    if (this.#freed * 2 < this.#window || this.#ended) return;
    this.#granted += this.#freed;
    this.#host.credit(this.id, this.#freed);
    this.#freed = 0;
  }

  #finish(): void {
    this.#stopped = true;
    const { onEnd } = this;
    this.onEnd = undefined;
    onEnd?.();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}

/** The same stream as a `ReadableStream`, for a source that was one. */
export function toReadable(
  stream: RemoteStream<unknown>,
): ReadableStream<unknown> {
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await stream.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await stream.return();
    },
  }, { highWaterMark: 0 });
}
