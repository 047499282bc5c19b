import type { WaitOptions } from "../duplex.ts";
import { checkInteger } from "../_async/check.ts";
import type { SharedMemory } from "./shared_memory.ts";
import type { PlaceOptions } from "./ring.ts";
import { SharedLockGuard } from "./lock_guard.ts";
import { finishBlock, formatBlock, openBlock } from "./_block.ts";
import { OwnerSlots } from "./_owner_slots.ts";

const MAGIC = 0x4553_4c53; // "SLSE" in memory
const HEAD = 64;
const MAX_PERMITS = 4096;

/** Options of {@linkcode SharedSemaphore.create}. */
export interface CreateSemaphoreOptions extends PlaceOptions {
  /** How many may hold it at once, from 1 to 4096. */
  permits: number;
}

/**
 * So many permits between processes. Each permit knows its holder, so that those
 * of a killed process come back, which the next holder is told (`ownerDied`).
 * Waiting works as with {@linkcode SharedMutex}.
 *
 * @example At most two at a time
 * ```ts
 * import { SharedMemory, SharedSemaphore } from "@sluice/ipc/shm";
 * import { assertEquals } from "@std/assert";
 *
 * const size = SharedSemaphore.byteLength(2);
 * using memory = SharedMemory.anonymous({ size });
 * const semaphore = SharedSemaphore.create(memory, { permits: 2 });
 * using first = await semaphore.acquire();
 * using second = await semaphore.acquire();
 * assertEquals(semaphore.tryAcquire(), undefined);
 * assertEquals(first.held && second.held, true);
 * ```
 */
export class SharedSemaphore {
  /** How many may hold it at once. */
  readonly permits: number;
  #slots: OwnerSlots;

  private constructor(memory: SharedMemory, start: number, permits: number) {
    this.permits = permits;
    this.#slots = new OwnerSlots(
      new BigInt64Array(memory.buffer, start + HEAD, permits),
      "Cannot acquire a permit",
    );
  }

  /** The bytes that it takes in a segment. */
  static byteLength(permits: number): number {
    return HEAD + 8 * checkInteger("permits", permits, 1, MAX_PERMITS);
  }

  /**
   * Writes one with all permits free into a segment.
   *
   * @throws {Deno.errors.AlreadyExists} If there is something already.
   * @throws {RangeError} If it doesn't fit.
   */
  static create(
    memory: SharedMemory,
    { permits, offset = 0 }: CreateSemaphoreOptions,
  ): SharedSemaphore {
    const length = SharedSemaphore.byteLength(permits);
    const block = formatBlock(
      memory,
      offset,
      length,
      MAGIC,
      permits,
      "semaphore",
    );
    finishBlock(block.words);
    return new SharedSemaphore(memory, block.start, permits);
  }

  /**
   * Opens what another process created.
   *
   * @throws {Deno.errors.NotFound} If there is none at the offset yet.
   * @throws {Deno.errors.InvalidData} If something else is there.
   */
  static open(
    memory: SharedMemory,
    options: PlaceOptions = {},
  ): SharedSemaphore {
    const { start, parameter } = openBlock(
      memory,
      options.offset ?? 0,
      MAGIC,
      HEAD,
      (permits) =>
        permits >= 1 && permits <= MAX_PERMITS ? HEAD + 8 * permits : undefined,
      "semaphore",
    );
    return new SharedSemaphore(memory, start, parameter);
  }

  /** Permits that are free at this moment. */
  get available(): number {
    return this.permits - this.#slots.held;
  }

  /** Takes a permit if one is free, at once. */
  tryAcquire(): SharedLockGuard | undefined {
    const taken = this.#slots.tryTake();
    return taken &&
      new SharedLockGuard(taken, () => this.#slots.release(taken.slot));
  }

  /**
   * Waits for a permit.
   *
   * @returns The permit; `ownerDied` tells whether its last holder was killed.
   * @throws {DOMException} `TimeoutError`, after `timeout`.
   * @throws {Deno.errors.BadResource} If the memory is closed.
   */
  async acquire(options: WaitOptions = {}): Promise<SharedLockGuard> {
    const taken = await this.#slots.take(options);
    return new SharedLockGuard(taken, () => this.#slots.release(taken.slot));
  }
}
