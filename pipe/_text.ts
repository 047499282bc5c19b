// Output as text: UTF-8, whole or line by line.

/** Puts lines together from chunks that end anywhere. */
export class LineSplitter {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  /** What came of a line that has no end yet: joined once, when it ends. */
  #pieces: string[] = [];
  #pending = 0;

  /** How long the line is that has no end yet, in UTF-16 units. */
  get pending(): number {
    return this.#pending;
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
    const lines = text.split("\n");
    const rest = lines.pop()!;
    if (lines.length > 0) lines[0] = this.#take() + lines[0];
    if (rest !== "") this.#pieces.push(rest);
    this.#pending += rest.length;
    if (chunk === null && this.#pending > 0) lines.push(this.#take());
    return lines.map((line) => line.endsWith("\r") ? line.slice(0, -1) : line);
  }

  #take(): string {
    const line = this.#pieces.join("");
    this.#pieces = [];
    this.#pending = 0;
    return line;
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
