import type { WaitOptions } from "../duplex.ts";
import { ConnectionClosedError } from "../duplex.ts";
import type { SharedMemory } from "./shared_memory.ts";
import type { CreateRingOptions, PlaceOptions } from "./ring.ts";
import { finishBlock, formatBlock, openBlock } from "./_block.ts";
import {
  BROADCAST_HEAD,
  BROADCAST_MAGIC,
  type BroadcastParts,
  BroadcastReceiverCore,
  BroadcastSenderCore,
  longestBroadcast,
  SENDER,
} from "./_broadcast_core.ts";
import { poll } from "./_poll.ts";
import { checkCapacity, MAX_CAPACITY, MIN_CAPACITY } from "./_ring_layout.ts";
import { Side } from "./_side.ts";

/**
 * Records from one sender to any number of receivers, in shared memory. The
 * sender never waits: a receiver that falls behind by the whole ring goes on at
 * the newest record and is told how many it lost. Receivers leave no trace in
 * the segment, so that a killed one needs no cleaning up.
 *
 * @example One sender, two receivers
 * ```ts
 * import { Broadcast, SharedMemory } from "@sluice/ipc/shm";
 * import { assertEquals } from "@std/assert";
 *
 * using memory = SharedMemory.anonymous({ size: Broadcast.byteLength(4096) });
 * const broadcast = Broadcast.create(memory, { capacity: 4096 });
 * using sender = broadcast.sender();
 * const receivers = [broadcast.receiver(), broadcast.receiver()];
 * sender.send(new Uint8Array([1, 2, 3]));
 * for (const receiver of receivers) {
 *   assertEquals(await receiver.receive(), {
 *     payload: new Uint8Array([1, 2, 3]),
 *     lost: 0,
 *   });
 * }
 * ```
 */
export class Broadcast {
  /** Bytes for records. */
  readonly capacity: number;
  #parts: BroadcastParts;

  private constructor(memory: SharedMemory, start: number, capacity: number) {
    const data = start + BROADCAST_HEAD;
    this.capacity = capacity;
    this.#parts = {
      head: new Int32Array(memory.buffer, start, BROADCAST_HEAD / 4),
      words: new Int32Array(memory.buffer, data, capacity / 4),
      bytes: new Uint8Array(memory.buffer, data, capacity),
      capacity,
    };
  }

  /** The bytes that a broadcast ring of this capacity takes in a segment. */
  static byteLength(capacity: number): number {
    return BROADCAST_HEAD + checkCapacity(capacity);
  }

  /**
   * Writes an empty one into a segment. A record may have a quarter of the
   * capacity, less 8 bytes.
   *
   * @throws {Deno.errors.AlreadyExists} If there is something already.
   * @throws {RangeError} If it doesn't fit, or the capacity is no power of two.
   */
  static create(memory: SharedMemory, options: CreateRingOptions): Broadcast {
    const { capacity, offset = 0 } = options;
    const block = formatBlock(
      memory,
      offset,
      Broadcast.byteLength(capacity),
      BROADCAST_MAGIC,
      capacity,
      "broadcast",
    );
    finishBlock(block.words);
    return new Broadcast(memory, block.start, capacity);
  }

  /**
   * Opens what another process created.
   *
   * @throws {Deno.errors.NotFound} If there is none at the offset yet.
   * @throws {Deno.errors.InvalidData} If the header there can't be right.
   */
  static open(memory: SharedMemory, options: PlaceOptions = {}): Broadcast {
    const { start, parameter } = openBlock(
      memory,
      options.offset ?? 0,
      BROADCAST_MAGIC,
      BROADCAST_HEAD,
      (capacity) =>
        capacity >= MIN_CAPACITY && capacity <= MAX_CAPACITY &&
          (capacity & (capacity - 1)) === 0
          ? BROADCAST_HEAD + capacity
          : undefined,
      "broadcast",
    );
    return new Broadcast(memory, start, parameter);
  }

  /**
   * Becomes the sender, also in the place of one that died.
   *
   * @throws {Deno.errors.Busy} If another process that lives is the sender.
   */
  sender(): BroadcastSender {
    return new BroadcastSender(this.#parts);
  }

  /** Receives what is sent from now on. */
  receiver(): BroadcastReceiver {
    return new BroadcastReceiver(this.#parts);
  }
}

/** The sending end of a {@linkcode Broadcast}. */
export class BroadcastSender implements Disposable {
  /** The longest record in bytes. */
  readonly longestRecord: number;
  #side: Side;
  #core: BroadcastSenderCore;
  #closed = false;

  /** @ignore Made by {@linkcode Broadcast.sender}. */
  constructor(parts: BroadcastParts) {
    this.longestRecord = longestBroadcast(parts.capacity);
    this.#side = new Side(parts.head, SENDER, "sender");
    this.#side.claim("Cannot broadcast");
    this.#core = new BroadcastSenderCore(parts);
  }

  /**
   * Sends a record, at once, over the oldest ones.
   *
   * @throws {RangeError} If it is longer than a record may be.
   * @throws {Deno.errors.BadResource} If the segment or this is closed.
   */
  send(payload: Uint8Array): void {
    if (this.#closed) {
      throw new Deno.errors.BadResource(
        "Cannot broadcast: this sender is closed",
      );
    }
    this.#core.send(payload);
  }

  /** Tells the receivers that no more follows. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#side.release();
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** A record as {@linkcode BroadcastReceiver.receive} gives it. */
export interface BroadcastRecord {
  /** Its bytes, a copy. */
  payload: Uint8Array<ArrayBuffer>;
  /** How many records were overwritten between the last one and this. */
  lost: number;
}

/** A receiving end of a {@linkcode Broadcast}. */
export class BroadcastReceiver implements AsyncIterable<BroadcastRecord> {
  #core: BroadcastReceiverCore;
  #sender: Side;
  #buffer: Uint8Array;

  /** @ignore Made by {@linkcode Broadcast.receiver}. */
  constructor(parts: BroadcastParts) {
    this.#core = new BroadcastReceiverCore(parts);
    this.#sender = new Side(parts.head, SENDER, "sender");
    this.#buffer = new Uint8Array(longestBroadcast(parts.capacity));
  }

  /** Records lost so far, since they were overwritten first. */
  get lost(): number {
    return this.#core.lost;
  }

  /**
   * Copies the next record to the start of `into`.
   *
   * @returns Its length in bytes, or -1 where there is none.
   * @throws {RangeError} If `into` is too small; the record stays.
   * @throws {Deno.errors.InvalidData} If the sender broke the ring.
   * @throws {Deno.errors.BadResource} If the segment is closed.
   */
  tryRead(into: Uint8Array): number {
    return this.#core.read(into);
  }

  /**
   * Waits for the next record.
   *
   * @returns The record, or `null` once the sender closed and all was read.
   * @throws {ConnectionClosedError} With code `"lost"` if the sender died.
   */
  receive(options: WaitOptions = {}): Promise<BroadcastRecord | null> {
    return poll(() => this.#attempt(), "Cannot receive a broadcast", {
      ...options,
      check: () => this.#checkSender(),
    });
  }

  #attempt(): BroadcastRecord | null | undefined {
    const before = this.#core.lost;
    const ended = this.#sender.ended;
    const length = this.#core.read(this.#buffer);
    if (length < 0) return ended ? null : undefined;
    return {
      payload: this.#buffer.slice(0, length) as Uint8Array<ArrayBuffer>,
      lost: this.#core.lost - before,
    };
  }

  #checkSender(): void {
    if (!this.#sender.dead) return;
    throw new ConnectionClosedError(
      "Cannot receive a broadcast: the sender died",
      { code: "lost" },
    );
  }

  /** Receives until the sender closes. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<BroadcastRecord> {
    for (let record; (record = await this.receive()) !== null;) yield record;
  }
}
