/** Holds one writer until the reader asks for more. */
export class Gate {
  #open: (() => void) | undefined;

  /** Resolves at the next `open`. One waits at a time. */
  wait(): Promise<void> {
    return new Promise((resolve) => this.#open = resolve);
  }

  /** Lets through who waits. */
  open(): void {
    this.#open?.();
    this.#open = undefined;
  }
}
