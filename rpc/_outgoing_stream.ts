// The sending end of a stream.

import type { Context } from "./context.ts";
import type { Cost } from "./_cost.ts";

/** The most items and cost of one message. */
const MAX_ITEMS = 256;
const MAX_COST = 64;

/**
 * How many turns of the microtask queue a batch waits for one more item. A
 * source that yields what it has takes about three; one that waits for a timer
 * or a socket takes longer, and then what is there leaves.
 */
const PATIENCE = 8;

/** What the stream asks of its session. */
export interface OutgoingStreamHost {
  readonly cost: Cost;
  /** To wait for where the peer does not read what was sent. */
  room(): Promise<void> | undefined;
  /** Sends items; calls `fail` where they have no encoding. */
  items(id: number, items: unknown[], fail: (error: unknown) => void): void;
  /** Tells the end. */
  end(id: number): void;
  /** Tells the error that the source threw. */
  fail(id: number, error: unknown, context: Context | undefined): void;
  /** It is over, whichever way. */
  done(id: number): void;
}

/** Reads a source as far as the other side granted. */
export class OutgoingStream {
  readonly id: number;
  /** Called once, when the source is done with. */
  onEnd: (() => void) | undefined;
  #host: OutgoingStreamHost;
  #iterator: AsyncIterator<unknown>;
  /** The call that it answers. */
  #context: Context | undefined;
  #credit = 0;
  #onCredit: (() => void) | undefined;
  #batch: unknown[] = [];
  #batchCost = 0;
  /** Items so far, to tell whether one came since the last turn. */
  #count = 0;
  #seen = 0;
  #idleTurns = 0;
  #watching = false;
  #over = false;
  #running = false;

  constructor(
    id: number,
    source: AsyncIterable<unknown>,
    host: OutgoingStreamHost,
    context: Context | undefined,
  ) {
    this.#context = context;
    this.id = id;
    this.#host = host;
    this.#iterator = iterate(source);
  }

  /** The other side can take so much more. */
  grant(amount: number): void {
    this.#credit += amount;
    const onCredit = this.#onCredit;
    this.#onCredit = undefined;
    onCredit?.();
    if (!this.#running && !this.#over) {
      this.#running = true;
      this.#pump();
    }
  }

  async #pump(): Promise<void> {
    try {
      for (;;) {
        if (this.#credit <= 0) {
          this.#flush();
          await new Promise<void>((resolve) => this.#onCredit = resolve);
          if (this.#over) return;
        }
        const { done, value } = await this.#iterator.next();
        if (this.#over) return;
        if (done) break;
        if (!this.#add(value)) return;
        const room = this.#host.room();
        if (room === undefined) continue;
        await room;
        if (this.#over) return;
      }
      this.#flush();
      if (!this.#over) this.#host.end(this.id);
    } catch (error) {
      if (this.#over) return;
      this.#flush();
      this.#host.fail(this.id, error, this.#context);
    }
    this.#finish();
  }

  /** False where the item can't be sent: then the stream is over. */
  #add(item: unknown): boolean {
    let itemCost: number;
    try {
      itemCost = this.#host.cost(item);
    } catch (error) { // a circle, which no encoder takes either
      this.#flush();
      this.#break(error);
      return false;
    }
    // A large item starts a message of its own, which stays near its size.
    if (this.#batch.length > 0 && this.#batchCost + itemCost > 4 * MAX_COST) {
      this.#flush();
    }
    this.#batch.push(item);
    this.#batchCost += itemCost;
    this.#credit -= itemCost;
    this.#count++;
    if (this.#batch.length >= MAX_ITEMS || this.#batchCost > 4 * MAX_COST) {
      this.#flush();
    } else if (!this.#watching) {
      this.#watching = true;
      this.#idleTurns = 0;
      this.#seen = this.#count;
      queueMicrotask(this.#turn);
    }
    return true;
  }

  /** Runs once each turn while a batch waits. */
  #turn = (): void => {
    if (this.#batch.length === 0) {
      this.#watching = false;
      return;
    }
    if (this.#seen !== this.#count) {
      this.#seen = this.#count;
      this.#idleTurns = 0;
    } else if (++this.#idleTurns >= PATIENCE) {
      this.#watching = false;
      this.#flush();
      return;
    }
    queueMicrotask(this.#turn);
  };

  #flush(): void {
    if (this.#batch.length === 0 || this.#over) return;
    const batch = this.#batch;
    this.#batch = [];
    this.#batchCost = 0;
    this.#host.items(this.id, batch, (error) => this.#break(error));
  }

  /** An item could not be sent. */
  #break(error: unknown): void {
    if (this.#over) return;
    this.#host.fail(this.id, error, this.#context);
    this.stop();
  }

  /** Nobody reads any more: runs the source's `finally`. */
  stop(): void {
    if (this.#over) return;
    this.#finish();
    const onCredit = this.#onCredit;
    this.#onCredit = undefined;
    onCredit?.();
    try {
      const returned = this.#iterator.return?.();
      // What its `finally` throws has nobody left to hear it.
      Promise.resolve(returned).catch(() => {});
    } catch { // as above
    }
  }

  #finish(): void {
    this.#over = true;
    this.#batch = [];
    this.#host.done(this.id);
    const { onEnd } = this;
    this.onEnd = undefined;
    onEnd?.();
  }
}

/**
 * A stream's own iterator cancels it only after the read that waits, which may
 * be never; its reader does at once.
 */
function iterate(source: AsyncIterable<unknown>): AsyncIterator<unknown> {
  if (!(source instanceof ReadableStream)) {
    return source[Symbol.asyncIterator]();
  }
  const reader = source.getReader();
  return {
    next: () => reader.read() as Promise<IteratorResult<unknown>>,
    return: async () => {
      await reader.cancel();
      return { done: true, value: undefined };
    },
  };
}
