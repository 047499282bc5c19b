type AtomicArray = Int32Array | Uint32Array | BigInt64Array | BigUint64Array;

/**
 * A number in shared memory that several processes change at once, as C's
 * `_Atomic`. Every operation is sequentially consistent, about 10 ns for 32
 * bits and 25 ns for 64. Numbers wrap around as in C.
 *
 * @typeParam T `number` for 32 bits, `bigint` for 64.
 *
 * @example Counting from several processes
 * ```ts
 * import { SharedMemory, struct } from "@sluice/ipc/shm";
 * import { assertEquals } from "@std/assert";
 *
 * const Stats = struct({ hits: "atomic_u64" });
 * using memory = SharedMemory.anonymous({ size: Stats.size });
 * const stats = Stats.view(memory);
 * stats.hits.add(2n);
 * assertEquals(stats.hits.load(), 2n);
 * ```
 */
export class AtomicNumber<T extends number | bigint> {
  // The signature of Atomics is split by element type; here it is one.
  #cell: Int32Array;

  /** @ignore Made by `struct`. */
  constructor(cell: ArrayBufferView) {
    this.#cell = cell as AtomicArray as Int32Array;
  }

  /** Reads it. */
  load(): T {
    return Atomics.load(this.#cell, 0) as T;
  }

  /** Writes it. */
  store(value: T): void {
    Atomics.store(this.#cell, 0, value as number);
  }

  /** Adds to it; what it was before. */
  add(value: T): T {
    return Atomics.add(this.#cell, 0, value as number) as T;
  }

  /** Subtracts from it; what it was before. */
  sub(value: T): T {
    return Atomics.sub(this.#cell, 0, value as number) as T;
  }

  /** Clears the bits that `value` has not; what it was before. */
  and(value: T): T {
    return Atomics.and(this.#cell, 0, value as number) as T;
  }

  /** Sets the bits that `value` has; what it was before. */
  or(value: T): T {
    return Atomics.or(this.#cell, 0, value as number) as T;
  }

  /** Writes it; what it was before. */
  exchange(value: T): T {
    return Atomics.exchange(this.#cell, 0, value as number) as T;
  }

  /** Writes `value` if it is `expected`; what it was before. */
  compareExchange(expected: T, value: T): T {
    return Atomics.compareExchange(
      this.#cell,
      0,
      expected as number,
      value as number,
    ) as T;
  }
}
