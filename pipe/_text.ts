// Output as text: UTF-8, whole or line by line.

/** Puts lines together from chunks that end anywhere. */
export class LineSplitter {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  #rest = "";

  /** How long the line is that has no end yet, in UTF-16 units. */
  get pending(): number {
    return this.#rest.length;
  }

  /**
   * The lines that end within a chunk, without line ends; for `null`, the end,
   * the last one where it has no line end.
   *
   * @throws {TypeError} If the bytes are no UTF-8.
   */
  push(chunk: Uint8Array | null): string[] {
    const text = this.#decoder.decode(chunk ?? new Uint8Array(), {
      stream: chunk !== null,
    });
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop()!;
    if (chunk === null && this.#rest !== "") lines.push(this.#rest);
    return lines.map((line) => line.endsWith("\r") ? line.slice(0, -1) : line);
  }
}

/** Where the first byte is that is no UTF-8. */
export function invalidAt(bytes: Uint8Array): number {
  const valid = (length: number) => {
    try {
      new TextDecoder("utf-8", { fatal: true })
        .decode(bytes.subarray(0, length), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  let low = 0;
  let high = bytes.length;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (valid(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
