import type { WaitOptions } from "../duplex.ts";
import { ConnectionClosedError } from "../duplex.ts";
import type { SharedMemory } from "./shared_memory.ts";
import type { CreateRingOptions, PlaceOptions } from "./ring.ts";
import { finishBlock, formatBlock, openBlock } from "./_block.ts";
import { ownWord } from "./_identity_word.ts";
import { poll } from "./_poll.ts";
import { QueueConsumerCore } from "./_queue_consumer_core.ts";
import {
  free,
  MAX_QUEUE,
  QUEUE_CONSUMER,
  QUEUE_HEAD,
  QUEUE_MAGIC,
  type QueueParts,
  queueParts,
  SLOTS,
} from "./_queue_layout.ts";
import { QueueProducerCore } from "./_queue_producer_core.ts";
import { checkCapacity, MIN_CAPACITY } from "./_ring_layout.ts";
import { Side } from "./_side.ts";

/**
 * Records from up to 64 producers to one consumer, in shared memory, in the
 * order in which they were reserved. A producer that is killed in the middle of
 * a record is found out by its pid and start time, and its record is skipped; a
 * producer that is only paused is waited for.
 *
 * It trusts the producers: a hostile one can stop the queue or garble others'
 * records, though never crash the consumer, which checks all that it reads.
 *
 * @example Two producers
 * ```ts
 * import { SharedMemory, SharedQueue } from "@sluice/ipc/shm";
 * import { assertEquals } from "@std/assert";
 *
 * const size = SharedQueue.byteLength(4096);
 * using memory = SharedMemory.anonymous({ size });
 * const queue = SharedQueue.create(memory, { capacity: 4096 });
 * using consumer = queue.consumer();
 * using first = queue.producer(); // in processes of their own, as a rule
 * using second = queue.producer();
 * first.tryWrite(new Uint8Array([1]));
 * second.tryWrite(new Uint8Array([2]));
 * assertEquals(await consumer.read(), new Uint8Array([1]));
 * assertEquals(await consumer.read(), new Uint8Array([2]));
 * ```
 */
export class SharedQueue {
  /** Bytes for records. */
  readonly capacity: number;
  #parts: QueueParts;

  private constructor(parts: QueueParts) {
    this.capacity = parts.capacity;
    this.#parts = parts;
  }

  /** The bytes that a queue of this capacity takes in a segment. */
  static byteLength(capacity: number): number {
    checkCapacity(capacity);
    if (capacity > MAX_QUEUE) {
      throw new RangeError(
        `Invalid capacity: expected at most ${MAX_QUEUE}, received ${capacity}`,
      );
    }
    return QUEUE_HEAD + capacity;
  }

  /**
   * Writes an empty queue into a segment. A record may have half the capacity,
   * less 8 bytes.
   *
   * @throws {Deno.errors.AlreadyExists} If there is something already.
   * @throws {RangeError} If it doesn't fit, or the capacity is no power of two
   *   from 64 to 64 MiB.
   */
  static create(memory: SharedMemory, options: CreateRingOptions): SharedQueue {
    const { capacity, offset = 0 } = options;
    const block = formatBlock(
      memory,
      offset,
      SharedQueue.byteLength(capacity),
      QUEUE_MAGIC,
      capacity,
      "queue",
    );
    const parts = queueParts(memory.buffer, block.start, capacity);
    free(parts.words, capacity, -capacity, 0); // so that positions start at 0
    finishBlock(block.words);
    return new SharedQueue(parts);
  }

  /**
   * Opens what another process created.
   *
   * @throws {Deno.errors.NotFound} If there is none at the offset yet.
   * @throws {Deno.errors.InvalidData} If the header there can't be right.
   */
  static open(memory: SharedMemory, options: PlaceOptions = {}): SharedQueue {
    const { start, parameter } = openBlock(
      memory,
      options.offset ?? 0,
      QUEUE_MAGIC,
      QUEUE_HEAD,
      (capacity) =>
        capacity >= MIN_CAPACITY && capacity <= MAX_QUEUE &&
          (capacity & (capacity - 1)) === 0
          ? QUEUE_HEAD + capacity
          : undefined,
      "queue",
    );
    return new SharedQueue(queueParts(memory.buffer, start, parameter));
  }

  /**
   * Becomes one of the producers. Places of killed ones are free again once the
   * consumer has found the queue empty.
   *
   * @throws {Deno.errors.Busy} If all 64 places are taken.
   */
  producer(): QueueProducer {
    return new QueueProducer(this.#parts);
  }

  /**
   * Becomes the consumer, also in the place of one that died. What that one had
   * begun to hand out does not come again.
   *
   * @throws {Deno.errors.Busy} If another process that lives is the consumer.
   */
  consumer(): QueueConsumer {
    return new QueueConsumer(this.#parts);
  }
}

/** One of the producers of a {@linkcode SharedQueue}. */
export class QueueProducer implements Disposable {
  /** The longest record in bytes. */
  readonly longestRecord: number;
  #core: QueueProducerCore;
  #slots: BigInt64Array;
  #slot: number;
  #consumer: Side;
  #closed = false;

  /** @ignore Made by {@linkcode SharedQueue.producer}. */
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

/** The consumer of a {@linkcode SharedQueue}. */
export class QueueConsumer implements Disposable, AsyncIterable<Uint8Array> {
  /** The longest record in bytes. */
  readonly longestRecord: number;
  #core: QueueConsumerCore;
  #side: Side;
  #closed = false;

  /** @ignore Made by {@linkcode SharedQueue.consumer}. */
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
