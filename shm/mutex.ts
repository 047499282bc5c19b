import type { WaitOptions } from "../duplex.ts";
import type { SharedMemory } from "./shared_memory.ts";
import type { PlaceOptions } from "./ring.ts";
import { SharedLockGuard } from "./lock_guard.ts";
import { finishBlock, formatBlock, openBlock } from "./_block.ts";
import { OwnerSlots } from "./_owner_slots.ts";

const MAGIC = 0x584d_4c53; // "SLMX" in memory
const LENGTH = 64;
const OWNER = 16;

/**
 * A lock between processes. Whoever holds it is known by pid and start time, so
 * that the lock of a killed process goes to the next one, which is told
 * (`ownerDied`). It is not recursive and not fair.
 *
 * A waiter spins for microseconds, then yields, then looks again every few
 * milliseconds; it blocks no thread, and as it looks itself, no wake-up can be
 * lost. It trusts those who may write to the memory.
 *
 * @example One at a time
 * ```ts
 * import { SharedMemory, SharedMutex } from "@sluice/ipc/shm";
 * import { assertEquals } from "@std/assert";
 *
 * using memory = SharedMemory.anonymous({ size: SharedMutex.byteLength });
 * const mutex = SharedMutex.create(memory);
 * {
 *   using guard = await mutex.lock({ timeout: 1000 });
 *   if (guard.ownerDied) console.warn("mend what it protects");
 *   assertEquals(mutex.tryLock(), undefined);
 * }
 * mutex.tryLock()?.release();
 * ```
 */
export class SharedMutex {
  /** The bytes that it takes in a segment. */
  static readonly byteLength: number = LENGTH;
  #slots: OwnerSlots;

  private constructor(memory: SharedMemory, start: number) {
    this.#slots = new OwnerSlots(
      new BigInt64Array(memory.buffer, start + OWNER, 1),
      "Cannot lock",
    );
  }

  /**
   * Writes a free lock into a segment.
   *
   * @throws {Deno.errors.AlreadyExists} If there is something already.
   * @throws {RangeError} If it doesn't fit.
   */
  static create(memory: SharedMemory, options: PlaceOptions = {}): SharedMutex {
    const { offset = 0 } = options;
    const block = formatBlock(memory, offset, LENGTH, MAGIC, 0, "mutex");
    finishBlock(block.words);
    return new SharedMutex(memory, block.start);
  }

  /**
   * Opens the lock that another process wrote.
   *
   * @throws {Deno.errors.NotFound} If there is none at the offset yet.
   * @throws {Deno.errors.InvalidData} If something else is there.
   */
  static open(memory: SharedMemory, options: PlaceOptions = {}): SharedMutex {
    const { offset = 0 } = options;
    const { start } = openBlock(
      memory,
      offset,
      MAGIC,
      LENGTH,
      () => LENGTH,
      "mutex",
    );
    return new SharedMutex(memory, start);
  }

  /** Whether anyone holds it at this moment. */
  get locked(): boolean {
    return this.#slots.held > 0;
  }

  /**
   * Locks if it is free, at once. It does not look whether the owner died;
   * {@linkcode SharedMutex.lock} does.
   *
   * @returns The guard, or `undefined` where another holds it.
   */
  tryLock(): SharedLockGuard | undefined {
    const taken = this.#slots.tryTake();
    return taken &&
      new SharedLockGuard(taken, () => this.#slots.release(taken.slot));
  }

  /**
   * Waits for the lock.
   *
   * @returns The guard; `ownerDied` tells whether the last owner was killed.
   * @throws {DOMException} `TimeoutError`, after `timeout`.
   * @throws {Deno.errors.BadResource} If the memory is closed.
   */
  async lock(options: WaitOptions = {}): Promise<SharedLockGuard> {
    const taken = await this.#slots.take(options);
    return new SharedLockGuard(taken, () => this.#slots.release(taken.slot));
  }
}
