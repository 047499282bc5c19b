import { ConnectionClosedError } from "../duplex.ts";
import { checkTimeout, timeoutError } from "../_async/wait.ts";
import type { SharedMemory } from "./shared_memory.ts";
import type { PlaceOptions } from "./ring.ts";
import type { StructInput, StructType, StructValues } from "./struct.ts";
import { finishBlock, formatBlock, openBlock } from "./_block.ts";
import { ownWord, pidOf, wordAlive } from "./_identity_word.ts";
import { TSO } from "./_ring_access.ts";

const MAGIC = 0x5153_4c53; // "SLSQ" in memory
const HEAD = 32;
const SEQUENCE = 3; // word of the head
const WRITER = 2; // 64-bit word of the head
/** How long one write may take before its writer is looked up, in ms. */
const PATIENCE = 20;
/** The default of {@linkcode SeqLockOptions}. */
const TIMEOUT = 1000;

/** How long {@linkcode SeqLock} may hold the thread. */
export interface SeqLockOptions {
  /**
   * The longest time in milliseconds. A write takes microseconds, but its
   * process may lose the processor in the middle.
   *
   * @default {1000}
   */
  timeout?: number;
}

/**
 * A struct that one process writes as a whole and others read as a whole: a
 * reader never sees half of a write. Writers take turns, readers never hold
 * anyone up, and both cost well under a microsecond for small structs.
 *
 * It trusts those who write: a hostile one can make reads fail, not crash.
 *
 * @typeParam S The schema of the struct.
 *
 * @example A whole that never tears
 * ```ts
 * import { SeqLock, SharedMemory, struct } from "@sluice/ipc/shm";
 * import { assertEquals } from "@std/assert";
 *
 * const Position = struct({ x: "f64", y: "f64", at: "u64" });
 * const size = SeqLock.byteLength(Position);
 * using memory = SharedMemory.anonymous({ size });
 * const position = SeqLock.create(memory, Position);
 * position.write({ x: 1, y: 2, at: 3n });
 * assertEquals(position.read(), { x: 1, y: 2, at: 3n });
 * ```
 */
export class SeqLock<S> {
  #type: StructType<S>;
  #head: Int32Array;
  #writer: BigInt64Array;
  #shared: Int32Array;
  #sharedBytes: Uint8Array;
  #local: Uint8Array<ArrayBuffer>;
  #localWords: Int32Array;

  private constructor(
    memory: SharedMemory,
    type: StructType<S>,
    start: number,
  ) {
    const room = (type.size + 7) & ~7;
    this.#type = type;
    this.#head = new Int32Array(memory.buffer, start, HEAD / 4);
    this.#writer = new BigInt64Array(memory.buffer, start, HEAD / 8);
    this.#shared = new Int32Array(memory.buffer, start + HEAD, room / 4);
    this.#sharedBytes = new Uint8Array(memory.buffer, start + HEAD, room);
    this.#local = new Uint8Array(room);
    this.#localWords = new Int32Array(this.#local.buffer);
  }

  /** The bytes that it takes in a segment: the struct and 32 more. */
  static byteLength(type: { readonly size: number }): number {
    return HEAD + ((type.size + 7) & ~7);
  }

  /**
   * Writes an empty one into a segment, all members 0.
   *
   * @throws {Deno.errors.AlreadyExists} If there is something already.
   * @throws {RangeError} If it doesn't fit.
   */
  static create<S>(
    memory: SharedMemory,
    type: StructType<S>,
    options: PlaceOptions = {},
  ): SeqLock<S> {
    const block = formatBlock(
      memory,
      options.offset ?? 0,
      SeqLock.byteLength(type),
      MAGIC,
      type.size,
      "seqlock",
    );
    finishBlock(block.words);
    return new SeqLock(memory, type, block.start);
  }

  /**
   * Opens what another process created.
   *
   * @throws {Deno.errors.NotFound} If there is none at the offset yet.
   * @throws {Deno.errors.InvalidData} If it holds a struct of another size.
   */
  static open<S>(
    memory: SharedMemory,
    type: StructType<S>,
    options: PlaceOptions = {},
  ): SeqLock<S> {
    const { start } = openBlock(
      memory,
      options.offset ?? 0,
      MAGIC,
      HEAD,
      (size) => size === type.size ? SeqLock.byteLength(type) : undefined,
      "seqlock",
    );
    return new SeqLock(memory, type, start);
  }

  /**
   * Reads the whole struct as of one moment. While a write is under way it looks
   * again for as long as that takes, microseconds as a rule.
   *
   * @throws {ConnectionClosedError} With code `"lost"`, if the writer died in
   *   the middle of a write. The next write mends it.
   * @throws {DOMException} `TimeoutError`, if there was no quiet moment.
   * @throws {Deno.errors.BadResource} If the memory is closed.
   */
  read({ timeout = TIMEOUT }: SeqLockOptions = {}): StructValues<S> {
    checkTimeout("timeout", timeout);
    const head = this.#head;
    let started = 0;
    let asked = 0;
    for (let tries = 0;; tries++) {
      this.#check();
      const before = Atomics.load(head, SEQUENCE);
      if ((before & 1) === 0) {
        this.#copyOut();
        if (Atomics.load(head, SEQUENCE) === before) {
          return this.#type.decode(this.#local);
        }
      }
      if ((tries & 63) !== 63) continue;
      const now = performance.now();
      started ||= now;
      if (now - started > timeout) {
        throw timeoutError("Cannot read struct", timeout);
      }
      if (now - Math.max(asked, started) > PATIENCE) {
        asked = now;
        this.#checkWriter(before);
      }
    }
  }

  #copyOut(): void {
    if (TSO) {
      this.#local.set(this.#sharedBytes);
      return;
    }
    // Plain loads could move past the second look at the sequence.
    for (let i = 0; i < this.#shared.length; i++) {
      this.#localWords[i] = Atomics.load(this.#shared, i);
    }
  }

  #checkWriter(sequence: number): void {
    const writer = Atomics.load(this.#writer, WRITER);
    if ((sequence & 1) === 0 || (writer !== 0n && wordAlive(writer))) return;
    if (Atomics.load(this.#head, SEQUENCE) !== sequence) return;
    throw new ConnectionClosedError(
      `Cannot read struct: its writer ${pidOf(writer)} died during a write`,
      { code: "lost" },
    );
  }

  /**
   * Writes the members that `values` has; the others stay as they are. Readers
   * see all of it or nothing.
   *
   * @throws {RangeError} If a value does not fit its member; nothing is written.
   * @throws {DOMException} `TimeoutError`, if another process writes all the
   *   time.
   * @throws {Deno.errors.BadResource} If the memory is closed.
   */
  write(
    values: StructInput<S>,
    { timeout = TIMEOUT }: SeqLockOptions = {},
  ): void {
    this.#check();
    checkTimeout("timeout", timeout);
    // A value that doesn't fit must throw before anyone is held up.
    this.#type.encode(values, this.#local);
    const own = ownWord();
    this.#take(own, timeout);
    try {
      const before = Atomics.load(this.#head, SEQUENCE);
      // Odd already if the last writer died here.
      Atomics.store(this.#head, SEQUENCE, before | 1);
      this.#copyOut();
      this.#type.encode(values, this.#local);
      if (TSO) this.#sharedBytes.set(this.#local);
      else {
        for (let i = 0; i < this.#shared.length; i++) {
          Atomics.store(this.#shared, i, this.#localWords[i]);
        }
      }
      Atomics.store(this.#head, SEQUENCE, ((before | 1) + 1) | 0);
    } finally {
      Atomics.compareExchange(this.#writer, WRITER, own, 0n);
    }
  }

  /** Becomes the writer, also in the place of a dead one. */
  #take(own: bigint, timeout: number): void {
    let started = 0;
    let asked = 0;
    for (let tries = 0;; tries++) {
      const seen = Atomics.compareExchange(this.#writer, WRITER, 0n, own);
      if (seen === 0n) return;
      if ((tries & 63) !== 63) continue;
      const now = performance.now();
      started ||= now;
      if (now - started > timeout) {
        throw timeoutError(
          `Cannot write struct while process ${pidOf(seen)} does`,
          timeout,
        );
      }
      if (now - Math.max(asked, started) < PATIENCE) continue;
      asked = now;
      if (
        !wordAlive(seen) &&
        Atomics.compareExchange(this.#writer, WRITER, seen, own) === seen
      ) return;
    }
  }

  #check(): void {
    if (this.#head.length === 0) {
      throw new Deno.errors.BadResource(
        "Cannot use seqlock: shared memory is closed",
      );
    }
  }
}
