import type { SharedMemory } from "./shared_memory.ts";
import type { RingParts } from "./_ring_layout.ts";
import {
  attachRing,
  checkCapacity,
  formatRing,
  RING_HEADER,
} from "./_ring_layout.ts";
import { RingReader } from "./ring_reader.ts";
import { RingWriter } from "./ring_writer.ts";

/** Where a structure lies in its segment. */
export interface PlaceOptions {
  /**
   * The first byte within {@linkcode SharedMemory.bytes}, a multiple of 8.
   * Multiples of 128 keep neighbours from slowing each other.
   *
   * @default {0}
   */
  offset?: number;
}

/** Options of {@linkcode Ring.create}. */
export interface CreateRingOptions extends PlaceOptions {
  /**
   * The bytes for records, a power of two from 64 to 1 GiB. A record takes its
   * length plus 8, rounded up to 8, and may have at most half of it.
   */
  capacity: number;
}

/**
 * A ring of records in shared memory, from one producer to one consumer: two
 * processes, or two workers. Records arrive whole and in order; when it is full,
 * the producer is told or waits.
 *
 * The peer may be hostile: lengths and positions are bounded before use, and
 * what can't be right throws `Deno.errors.InvalidData`. Payloads that
 * {@linkcode RingReader.peek} shows can still change while you look.
 *
 * The layout, for C, Rust and Python peers, is in `docs/shm-layout.md`.
 *
 * @example Between two processes
 * ```ts
 * import { Ring, SharedMemory } from "@sluice/ipc/shm";
 * import { assertEquals } from "@std/assert";
 *
 * using memory = SharedMemory.anonymous({ size: Ring.byteLength(65536) });
 * using writer = Ring.create(memory, { capacity: 65536 }).writer();
 * using reader = Ring.open(memory).reader(); // in another process, as a rule
 *
 * await writer.write(new TextEncoder().encode("hello"));
 * const record = await reader.read(); // null once the producer closed
 * assertEquals(new TextDecoder().decode(record!), "hello");
 * ```
 */
export class Ring {
  /** Bytes for records. */
  readonly capacity: number;
  #parts: RingParts;

  private constructor(parts: RingParts) {
    this.#parts = parts;
    this.capacity = parts.capacity;
  }

  /** The bytes that a ring of this capacity takes in a segment. */
  static byteLength(capacity: number): number {
    return RING_HEADER + checkCapacity(capacity);
  }

  /**
   * Writes an empty ring into a segment.
   *
   * @throws {Deno.errors.AlreadyExists} If there is something already.
   * @throws {RangeError} If it doesn't fit, or the capacity is no power of two.
   */
  static create(memory: SharedMemory, options: CreateRingOptions): Ring {
    return new Ring(formatRing(memory, options.offset ?? 0, options.capacity));
  }

  /**
   * Opens the ring that another process wrote.
   *
   * @throws {Deno.errors.NotFound} If there is none at the offset yet.
   * @throws {Deno.errors.InvalidData} If the header there can't be right.
   */
  static open(memory: SharedMemory, options: PlaceOptions = {}): Ring {
    return new Ring(attachRing(memory, options.offset ?? 0));
  }

  /**
   * Becomes the producer, also in the place of one that died: records that it
   * committed stay, and a half-written one never was.
   *
   * @throws {Deno.errors.Busy} If another process that lives is the producer.
   */
  writer(): RingWriter {
    return new RingWriter(this.#parts);
  }

  /**
   * Becomes the consumer, also in the place of one that died. It starts where
   * the last one had told the producer that it was, so up to a quarter of the
   * ring that a killed consumer read comes again.
   *
   * @throws {Deno.errors.Busy} If another process that lives is the consumer.
   */
  reader(): RingReader {
    return new RingReader(this.#parts);
  }
}
