/** Pieces from here on are kept rather than copied into one buffer. */
const LARGE = 16 * 1024;
const SMALLEST = 256;

/**
 * A frame of known length that comes in pieces. Memory grows with what arrived,
 * at most to twice of it and never beyond the length, so that a prefix alone
 * costs nothing. Each byte is copied once, when the frame is whole, or twice if
 * it came in a small piece.
 */
export class PromisedFrame {
  length = 0;
  #pieces: Uint8Array[] = [];
  /** Collects small pieces: the last of `#pieces`, with room from `#filled`. */
  #tail: Uint8Array | undefined;
  #filled = 0;

  /** Adds bytes that the caller leaves as they are. `promised` is the length. */
  append(piece: Uint8Array, promised: number): void {
    while (piece.length > 0) {
      if (this.#tail === undefined && isWorthKeeping(piece)) {
        this.#pieces.push(piece);
        this.length += piece.length;
        return;
      }
      const tail = this.#tail ??= this.#addTail(piece.length, promised);
      const count = Math.min(tail.length - this.#filled, piece.length);
      tail.set(
        count === piece.length ? piece : piece.subarray(0, count),
        this.#filled,
      );
      this.length += count;
      this.#filled += count;
      if (this.#filled === tail.length) this.#tail = undefined;
      piece = piece.subarray(count);
    }
  }

  #addTail(needed: number, promised: number): Uint8Array {
    const size = Math.max(SMALLEST, 2 * needed, this.length);
    const tail = new Uint8Array(Math.min(size, promised - this.length));
    this.#pieces.push(tail);
    this.#filled = 0;
    return tail;
  }

  /** Hands the whole frame over and starts anew. */
  take(): Uint8Array {
    const pieces = this.#pieces;
    let frame = pieces[0];
    if (pieces.length > 1) {
      frame = new Uint8Array(this.length);
      let at = 0;
      for (const piece of pieces) {
        frame.set(piece, at);
        at += piece.length;
      }
    }
    this.drop();
    return frame;
  }

  /** Lets go of what came. */
  drop(): void {
    this.#pieces = [];
    this.#tail = undefined;
    this.length = 0;
  }
}

/** Whether keeping the piece keeps little else alive. */
function isWorthKeeping(piece: Uint8Array): boolean {
  return piece.length >= LARGE && 2 * piece.length >= piece.buffer.byteLength;
}
