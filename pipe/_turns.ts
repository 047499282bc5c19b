// Lets timers, signals and sockets have their turn between chunks.

/** So many chunks may pass before the event loop turns. */
const CHUNKS = 64;

/** Counts chunks: where JavaScript never waits, no timeout would come. */
export class Turns {
  #chunks = 0;

  /** Whether it is time for a turn; call it before each chunk. */
  due(): boolean {
    return ++this.#chunks % CHUNKS === 0;
  }
}
