import type { WaitOptions } from "../duplex.ts";
import type { SharedMemory } from "./shared_memory.ts";
import type { PlaceOptions } from "./ring.ts";
import { finishBlock, formatBlock, openBlock } from "./_block.ts";
import { poll } from "./_poll.ts";

const MAGIC = 0x5645_4c53; // "SLEV" in memory
const LENGTH = 64;
const SET = 4;
const GENERATION = 5;

/**
 * A flag that processes wait for: once set it lets all through until it is
 * reset. Those who waited when it was set go on even if it is reset before they
 * look: each setting is counted. Waiting works as with {@linkcode SharedMutex}.
 *
 * @example Ready, go
 * ```ts
 * import { SharedEvent, SharedMemory } from "@sluice/ipc/shm";
 *
 * using memory = SharedMemory.anonymous({ size: SharedEvent.byteLength });
 * const event = SharedEvent.create(memory);
 * const waiting = event.wait({ timeout: 1000 });
 * event.set();
 * await waiting;
 * ```
 */
export class SharedEvent {
  /** The bytes that it takes in a segment. */
  static readonly byteLength: number = LENGTH;
  #words: Int32Array;

  private constructor(words: Int32Array) {
    this.#words = words;
  }

  /**
   * Writes one that is not set into a segment.
   *
   * @throws {Deno.errors.AlreadyExists} If there is something already.
   * @throws {RangeError} If it doesn't fit.
   */
  static create(memory: SharedMemory, options: PlaceOptions = {}): SharedEvent {
    const { offset = 0 } = options;
    const { words } = formatBlock(memory, offset, LENGTH, MAGIC, 0, "event");
    finishBlock(words);
    return new SharedEvent(words);
  }

  /**
   * Opens what another process created.
   *
   * @throws {Deno.errors.NotFound} If there is none at the offset yet.
   * @throws {Deno.errors.InvalidData} If something else is there.
   */
  static open(memory: SharedMemory, options: PlaceOptions = {}): SharedEvent {
    const { offset = 0 } = options;
    const { words } = openBlock(
      memory,
      offset,
      MAGIC,
      LENGTH,
      () => LENGTH,
      "event",
    );
    return new SharedEvent(words);
  }

  /** Whether it is set. */
  get isSet(): boolean {
    this.#check();
    return Atomics.load(this.#words, SET) !== 0;
  }

  /** Sets it: all who wait go on, and later ones don't wait. */
  set(): void {
    this.#check();
    Atomics.add(this.#words, GENERATION, 1);
    Atomics.store(this.#words, SET, 1);
  }

  /** Takes the setting back: later ones wait again. */
  reset(): void {
    this.#check();
    Atomics.store(this.#words, SET, 0);
  }

  /**
   * Waits until it is set.
   *
   * @throws {DOMException} `TimeoutError`, after `timeout`.
   * @throws {Deno.errors.BadResource} If the memory is closed.
   */
  async wait(options: WaitOptions = {}): Promise<void> {
    this.#check();
    const words = this.#words;
    const generation = Atomics.load(words, GENERATION);
    await poll(
      () => {
        this.#check();
        return Atomics.load(words, SET) !== 0 ||
          Atomics.load(words, GENERATION) !== generation || undefined;
      },
      "Cannot wait for event",
      options,
    );
  }

  #check(): void {
    if (this.#words.length === 0) {
      throw new Deno.errors.BadResource(
        "Cannot use event: shared memory is closed",
      );
    }
  }
}
