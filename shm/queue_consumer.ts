import type { WaitOptions } from "../duplex.ts";
import { poll } from "./_poll.ts";
import { QueueConsumerCore } from "./_queue_consumer_core.ts";
import { QUEUE_CONSUMER, type QueueParts } from "./_queue_layout.ts";
import { Side } from "./_side.ts";

/** The consumer of a `SharedQueue`. */
export class QueueConsumer implements Disposable, AsyncIterable<Uint8Array> {
  /** The longest record in bytes. */
  readonly longestRecord: number;
  #core: QueueConsumerCore;
  #side: Side;
  #closed = false;

  /** @ignore Made by `SharedQueue.consumer`. */
  constructor(parts: QueueParts) {
    this.#side = new Side(parts.head, QUEUE_CONSUMER, "consumer");
    this.#side.claim("Cannot read from queue");
    this.#core = new QueueConsumerCore(parts);
    this.longestRecord = this.#core.longest;
  }

  /** Records that producers had begun when they were killed. */
  get lost(): number {
    return this.#core.lost;
  }

  /**
   * Copies the next record to the start of `into`.
   *
   * @returns Its length in bytes, or -1 where there is none yet.
   * @throws {RangeError} If `into` is too small; the record stays.
   * @throws {Deno.errors.BadResource} If the segment or this is closed.
   * @throws {Deno.errors.InvalidData} If a peer broke the queue.
   */
  tryRead(into: Uint8Array): number {
    this.#check();
    return this.#core.read(into);
  }

  #check(): void {
    if (this.#closed) {
      throw new Deno.errors.BadResource(
        "Cannot read from queue: this consumer is closed",
      );
    }
  }

  /** Waits for the next record; a copy. */
  read(options: WaitOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    return poll(() => this.#attempt(), "Cannot read from queue", options);
  }

  #attempt(): Uint8Array<ArrayBuffer> | undefined {
    this.#check();
    return this.#core.readCopy();
  }

  /** Reads without end: producers come and go. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    for (let count = 1;; count++) {
      // The short way saves a promise; the long one also lets timers run.
      const record = (count & 255) === 0 ? undefined : this.#attempt();
      yield record ?? await this.read();
    }
  }

  /** Tells the producers that nobody reads. Calling it again does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#core.close();
    this.#side.release();
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.close();
  }
}
