const EMPTY = new Uint8Array(0);
const SMALLEST = 256;

/**
 * A frame of unknown length that comes in pieces. It grows with what arrived, at
 * most to `limit`.
 */
export class PartialFrame {
  #bytes = EMPTY;
  length = 0;

  append(piece: Uint8Array, limit: number): void {
    const needed = this.length + piece.length;
    if (needed > this.#bytes.length) {
      const size = Math.min(Math.max(2 * needed, SMALLEST), limit);
      const grown = new Uint8Array(Math.max(needed, size));
      grown.set(this.view());
      this.#bytes = grown;
    }
    this.#bytes.set(piece, this.length);
    this.length = needed;
  }

  /** What came so far. Valid until the next `append`. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  /** Forgets the bytes after `length`. */
  truncate(length: number): void {
    this.length = length;
  }

  /** Hands the bytes over and starts anew. */
  take(): Uint8Array {
    const frame = this.view();
    this.#bytes = EMPTY;
    this.length = 0;
    return frame;
  }
}
