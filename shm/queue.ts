import type { SharedMemory } from "./shared_memory.ts";
import type { CreateRingOptions, PlaceOptions } from "./ring.ts";
import { finishBlock, formatBlock, openBlock } from "./_block.ts";
import {
  free,
  MAX_QUEUE,
  QUEUE_HEAD,
  QUEUE_MAGIC,
  type QueueParts,
  queueParts,
} from "./_queue_layout.ts";
import { checkCapacity, MIN_CAPACITY } from "./_ring_layout.ts";
import { QueueConsumer } from "./queue_consumer.ts";
import { QueueProducer } from "./queue_producer.ts";

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
