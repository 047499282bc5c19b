// Where the default reader's bytes go: how large, and whose it is afterwards.

/** What the first reads take, in bytes, so that idle connections stay small. */
const FIRST_SIZE = 1024;
/**
 * The most that one read takes, in bytes: above what a Unix socket holds on
 * Linux. Memory for a new chunk costs more than a read, however it is cut; fewer
 * and larger reads save turns.
 */
const MAX_SIZE = 256 * 1024;
/** A chunk of fewer bytes is copied: that costs less than a new buffer. */
const MIN_HANDED_OVER = 16 * 1024;
const STEP = 4;

/** The buffer of the next read, which fits what the last ones brought. */
export class ReadBuffer {
  #bytes: Uint8Array<ArrayBuffer> | undefined;
  #size = FIRST_SIZE;

  /** Where the next read goes: nobody else has it. */
  get space(): Uint8Array<ArrayBuffer> {
    return this.#bytes ??= new Uint8Array(this.#size);
  }

  /**
   * The `count` bytes that a read put at the start of `space`, for good. A chunk
   * that fills a quarter of it goes over as it is, and keeps at most four times its
   * size alive; any other is copied.
   */
  take(count: number): Uint8Array<ArrayBuffer> {
    const bytes = this.space;
    const goesOver = count >= MIN_HANDED_OVER && count >= bytes.length / 4;
    if (goesOver) this.#bytes = undefined;
    this.#adapt(count);
    return goesOver ? bytes.subarray(0, count) : bytes.slice(0, count);
  }

  #adapt(count: number): void {
    if (count === this.#size && this.#size < MAX_SIZE) {
      this.#size *= STEP; // more was there: a busy connection soon has it all
      this.#bytes = undefined;
    } else if (count < this.#size / 16 && this.#size > FIRST_SIZE) {
      this.#size /= STEP; // an idle one gives it back
      this.#bytes = undefined;
    }
  }
}
