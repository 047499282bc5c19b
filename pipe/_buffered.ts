// A source that can be read ahead of its reader, so that no order of reading
// makes a child wait for ever, within a limit.

import { yieldTurn } from "../_async/turn.ts";
import type { Source } from "./_source.ts";
import { Turns } from "./_turns.ts";

/** What a {@linkcode BufferedSource} keeps and whom it tells. */
export interface BufferedSourceOptions {
  /** The most bytes that it keeps. */
  limit: number;
  /** Called where it is full and has no reader at all. */
  onFull(): void;
}

/** A {@linkcode Source} with a queue in front. */
export class BufferedSource implements Source {
  readonly #source: Source;
  readonly #options: BufferedSourceOptions;
  readonly #turns = new Turns();
  #queue: Uint8Array[] = [];
  #queued = 0;
  #eager = false;
  #hurried = false;
  #pulling = false;
  #taken = false;
  #ended = false;
  #error: { cause: unknown } | undefined;
  /** Set while a reader waits for the loop that reads ahead. */
  #wake: (() => void) | undefined;
  /** Set while that loop waits for room. */
  #resume: (() => void) | undefined;
  readonly #done = Promise.withResolvers<void>();

  get owned(): boolean {
    return this.#source.owned ?? false;
  }

  constructor(source: Source, options: BufferedSourceOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** Resolves when its end, an error or `cancel` came. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** Whether it has a reader. */
  get taken(): boolean {
    return this.#taken;
  }

  /** Marks it as having a reader, or throws where it has one. */
  take(what: string): void {
    if (this.#taken) {
      throw new TypeError(`Cannot read ${what}: something else reads it`);
    }
    this.#taken = true;
  }

  /** Reads ahead from now on. */
  eager(): void {
    if (this.#eager) return;
    this.#eager = true;
    if (!this.#pulling) this.#readAhead();
  }

  /** Comes to an end without its reader, what fits being kept. */
  hurry(): void {
    this.#hurried = true;
    this.eager();
    this.#resume?.();
  }

  async next(): Promise<Uint8Array | null> {
    for (;;) {
      const chunk = this.#queue.shift();
      if (chunk !== undefined) {
        this.#queued -= chunk.byteLength;
        this.#resume?.();
        return chunk;
      }
      if (this.#error) throw this.#error.cause;
      if (this.#ended) return null;
      if (this.#eager && !this.#pulling) {
        await new Promise<void>((resolve) => this.#wake = resolve);
        continue;
      }
      return await this.#pull();
    }
  }

  cancel(): void {
    this.#queue = [];
    this.#queued = 0;
    this.#end();
    this.#source.cancel();
  }

  async #pull(): Promise<Uint8Array | null> {
    this.#pulling = true;
    try {
      if (this.#turns.due()) await yieldTurn();
      const chunk = await this.#source.next();
      if (chunk === null) this.#end();
      return this.#ended ? null : chunk;
    } catch (cause) {
      this.#error ??= { cause };
      this.#end();
      throw cause;
    } finally {
      this.#pulling = false;
      if (this.#eager) this.#readAhead();
    }
  }

  async #readAhead(): Promise<void> {
    try {
      while (!this.#ended) {
        const full = this.#queued >= this.#options.limit;
        if (full && this.#hurried) {
          this.#source.cancel();
          break;
        }
        if (full && this.#taken) {
          await new Promise<void>((resolve) => this.#resume = resolve);
          continue;
        }
        if (this.#turns.due()) await yieldTurn();
        const chunk = await this.#source.next();
        if (chunk === null || this.#ended) break;
        if (full && !this.#taken) {
          this.#options.onFull(); // nothing reads it, and all of it waits
          this.#source.cancel();
          break;
        }
        this.#queue.push(chunk);
        this.#queued += chunk.byteLength;
        this.#wake?.();
      }
    } catch (cause) {
      this.#error ??= { cause };
    }
    this.#end();
  }

  #end(): void {
    this.#ended = true;
    this.#wake?.();
    this.#resume?.();
    this.#done.resolve();
  }
}
