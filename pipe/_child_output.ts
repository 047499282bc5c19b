// The output of a child process: read into buffers of our own, which costs a
// third less than the stream's own, and not for ever after the child's exit.

import type { Source } from "./_source.ts";

/** What a pipe holds by default: a read never gives more. */
const READ_SIZE = 64 * 1024;

/** How a {@linkcode ChildOutput} reads. */
export interface ChildOutputOptions {
  /** What the pipe holds, in bytes. */
  capacity?: number;
  /**
   * Whether a chunk is used up when the chunk after the next one is asked for:
   * buffers are taken again.
   */
  reuse?: boolean;
  /** Called where it stays open and silent for too long after the exit. */
  onHeld(): void;
}

/** One of the output streams of a child. */
export class ChildOutput implements Source {
  readonly owned = true;
  readonly #reader: ReadableStreamBYOBReader;
  readonly #options: ChildOutputOptions;
  readonly #size: number;
  /** Two buffers that take turns. */
  #buffers: (ArrayBuffer | undefined)[] = [undefined, undefined];
  #turn: 0 | 1 = 0;
  #waiting = false;
  #ended = false;
  /** How long a read may wait, once the child has exited. */
  #patience: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    stream: ReadableStream<Uint8Array>,
    options: ChildOutputOptions,
  ) {
    this.#reader = stream.getReader({ mode: "byob" });
    this.#options = options;
    this.#size = Math.max(READ_SIZE, options.capacity ?? 0);
  }

  next(): Promise<Uint8Array | null> {
    if (this.#ended) return Promise.resolve(null);
    const buffer = this.#buffers[this.#turn] ?? new ArrayBuffer(this.#size);
    this.#waiting = true;
    if (this.#patience !== undefined) this.#watch();
    return this.#reader.read(new Uint8Array(buffer))
      .then(this.#onRead, this.#onError);
  }

  #onRead = (
    { value }: ReadableStreamReadResult<Uint8Array<ArrayBuffer>>,
  ): Uint8Array | null => {
    this.#settled();
    if (value === undefined || value.byteLength === 0) {
      this.#ended = true;
      return null;
    }
    const turn = this.#turn;
    if (this.#options.reuse) {
      this.#buffers[turn] = value.buffer;
      this.#turn = turn === 0 ? 1 : 0;
      return value;
    }
    if (value.byteLength > this.#size / 4) {
      this.#buffers[turn] = undefined;
      return value;
    }
    this.#buffers[turn] = value.buffer;
    return value.slice();
  };

  #onError = (error: unknown): never => {
    this.#settled();
    throw error;
  };

  #settled(): void {
    this.#waiting = false;
    if (this.#timer !== undefined) clearTimeout(this.#timer);
  }

  /** The child has exited: from now on a read waits so long, in milliseconds. */
  exited(patience: number): void {
    this.#patience = patience;
    this.#watch();
  }

  cancel(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#reader.cancel().catch(() => {});
  }

  #watch(): void {
    clearTimeout(this.#timer);
    if (!this.#waiting || !((this.#patience ?? Infinity) < 2 ** 31)) return;
    this.#timer = setTimeout(() => {
      if (!this.#waiting) return;
      this.cancel();
      this.#options.onHeld();
    }, this.#patience);
  }
}
