/**
 * A lock or permit that is held: `using` gives it back.
 *
 * @example Held for a block
 * ```ts
 * import { SharedMemory, SharedMutex } from "@sluice/ipc/shm";
 * import { assertEquals } from "@std/assert";
 *
 * using memory = SharedMemory.anonymous({ size: SharedMutex.byteLength });
 * const mutex = SharedMutex.create(memory);
 * const guard = await mutex.lock();
 * assertEquals(guard.ownerDied, false);
 * guard.release();
 * assertEquals(guard.held, false);
 * ```
 */
export class SharedLockGuard implements Disposable {
  /**
   * Whether the last owner died while it held this: what the lock protects may
   * be half done, and is yours to mend.
   */
  readonly ownerDied: boolean;
  #release: (() => void) | undefined;

  /** @ignore Made by a lock. */
  constructor({ ownerDied }: { ownerDied: boolean }, release: () => void) {
    this.ownerDied = ownerDied;
    this.#release = release;
  }

  /** Whether it is still held. */
  get held(): boolean {
    return this.#release !== undefined;
  }

  /**
   * Gives it back. Calling it again does nothing.
   *
   * @throws {Deno.errors.InvalidData} If another process wrote over the lock.
   */
  release(): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }

  /** Gives it back. */
  [Symbol.dispose](): void {
    this.release();
  }
}
