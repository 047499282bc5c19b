// The sending end of a stream.

import type { Context } from "./context.ts";
import { cost } from "./_incoming_stream.ts";

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
    this.#iterator = source[Symbol.asyncIterator]();
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
        this.#add(value);
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

  #add(item: unknown): void {
    const itemCost = cost(item);
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
    this.#host.items(this.id, batch, (error) => {
      if (this.#over) return;
      this.#host.fail(this.id, error, this.#context);
      this.stop();
    });
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
