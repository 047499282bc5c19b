import type { WaitOptions } from "../duplex.ts";
import { ConnectionClosedError } from "../duplex.ts";
import { ownWord } from "./_identity_word.ts";
import { poll } from "./_poll.ts";
import { QUEUE_CONSUMER, type QueueParts, SLOTS } from "./_queue_layout.ts";
import { QueueProducerCore } from "./_queue_producer_core.ts";
import { Side } from "./_side.ts";

/** One of the producers of a `SharedQueue`. */
export class QueueProducer implements Disposable {
  /** The longest record in bytes. */
  readonly longestRecord: number;
  #core: QueueProducerCore;
  #slots: BigInt64Array;
  #slot: number;
  #consumer: Side;
  #closed = false;

  /** @ignore Made by `SharedQueue.producer`. */
  constructor(parts: QueueParts) {
    this.#slots = parts.slots;
    this.#slot = claimSlot(parts.slots);
    this.#core = new QueueProducerCore(parts, this.#slot);
    this.#consumer = new Side(parts.head, QUEUE_CONSUMER, "consumer");
    this.longestRecord = this.#core.longest;
  }

  /**
   * Writes one record, copying it, if there is room.
   *
   * @returns Whether it was written.
   * @throws {RangeError} If it is longer than a record may be.
   * @throws {Deno.errors.BadResource} If the segment or this is closed.
   * @throws {Deno.errors.InvalidData} If a peer broke the queue.
   */
  tryWrite(payload: Uint8Array): boolean {
    this.#check();
    return this.#core.append(payload);
  }

  /**
   * Gives a view into the queue to write a record in place. The consumer comes
   * no further until {@linkcode QueueProducer.commit}, which is to follow soon;
   * writing or reserving again, or closing, drops it.
   *
   * @param length The bytes of the record, exactly.
   * @returns The view, or `undefined` where there is no room.
   */
  tryReserve(length: number): Uint8Array<ArrayBuffer> | undefined {
    this.#check();
    return this.#core.reserve(length);
  }

  /**
   * Makes the reserved record visible.
   *
   * @throws {TypeError} If nothing is reserved.
   */
  commit(): void {
    this.#core.commit();
  }

  /**
   * Writes one record, waiting for room.
   *
   * @throws {ConnectionClosedError} If the consumer ended, or died.
   */
  async write(payload: Uint8Array, options: WaitOptions = {}): Promise<void> {
    await poll(
      () => this.tryWrite(payload) || undefined,
      "Cannot write to queue",
      { ...options, check: () => this.#checkConsumer() },
    );
  }

  #check(): void {
    if (this.#closed) {
      throw new Deno.errors.BadResource(
        "Cannot write to queue: this producer is closed",
      );
    }
  }

  #checkConsumer(): void {
    const ended = this.#consumer.ended;
    if (!ended && !this.#consumer.dead) return;
    throw new ConnectionClosedError(
      `Cannot write to queue: the consumer ${ended ? "closed it" : "died"}`,
      { code: ended ? "ended" : "lost" },
    );
  }

  /** Gives its place back. Calling it again does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#slots.length === 0) return; // the memory went first
    this.#core.abandon();
    Atomics.store(this.#slots, this.#slot, 0n);
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.close();
  }
}

function claimSlot(slots: BigInt64Array): number {
  if (slots.length === 0) {
    throw new Deno.errors.BadResource(
      "Cannot write to queue: shared memory is closed",
    );
  }
  for (let slot = 0; slot < SLOTS; slot++) {
    if (Atomics.compareExchange(slots, slot, 0n, ownWord()) === 0n) return slot;
  }
  throw new Deno.errors.Busy(
    `Cannot write to queue: all ${SLOTS} producers' places are taken`,
  );
}
