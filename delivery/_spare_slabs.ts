// Memory of a send log that serves again.

/** The most bytes that are kept. */
const MAX_BYTES = 512 * 1024;

/** Slabs whose messages are acknowledged, for the next ones of the same log. */
export class SpareSlabs {
  #slabs: Uint8Array[] = [];
  #bytes = 0;

  give(slab: Uint8Array): void {
    if (this.#bytes + slab.length > MAX_BYTES) return;
    this.#slabs.push(slab);
    this.#bytes += slab.length;
  }

  /** One of at least `length` bytes, and not of many more. */
  take(length: number): Uint8Array | undefined {
    const slab = this.#slabs.pop();
    if (slab === undefined) return undefined;
    this.#bytes -= slab.length;
    if (slab.length >= length && slab.length <= 2 * length) return slab;
    this.clear(); // messages of another length come now
    return undefined;
  }

  clear(): void {
    if (this.#bytes === 0) return;
    this.#slabs = [];
    this.#bytes = 0;
  }
}
