// The last bytes of a stream that must be read to its end.

import type { Source } from "./_source.ts";

/** Keeps the last bytes that it was given. */
export class Tail {
  #chunks: Uint8Array[] = [];
  #length = 0;
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(chunk: Uint8Array): void {
    if (this.#limit === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.byteLength;
    while (this.#length - this.#chunks[0].byteLength >= this.#limit) {
      this.#length -= this.#chunks.shift()!.byteLength;
    }
  }

  /** As text: what is no UTF-8 shows as U+FFFD. */
  toString(): string {
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const chunk of this.#chunks) {
      all.set(chunk, at);
      at += chunk.byteLength;
    }
    const last = all.subarray(Math.max(0, all.length - this.#limit));
    return new TextDecoder().decode(last);
  }
}

/** Passes a source on and keeps its tail. */
export function withTail(source: Source, tail: Tail): Source {
  return {
    async next() {
      const chunk = await source.next();
      if (chunk !== null) tail.push(chunk);
      return chunk;
    },
    cancel: () => source.cancel(),
  };
}
