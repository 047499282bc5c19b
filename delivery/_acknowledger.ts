// When a session tells its peer what the application took.

import type { Link } from "./_link.ts";

/** What the {@linkcode Acknowledger} has to know of what arrived. */
export interface Arrived {
  readonly expected: number;
  readonly settled: number;
  readonly acknowledged: number;
  /** Whether all of it was taken. */
  readonly isEmpty: boolean;
}

/** How long an acknowledgement may wait for company, in milliseconds. */
const DELAY = 5;
/** So many messages that are not acknowledged are a stream of them. */
const MANY = 64;

/**
 * Each acknowledgement is a write, and wakes the sender. So one that is not
 * urgent goes with the answer to a message, and in a stream of messages waits
 * until nothing more is here.
 */
export class Acknowledger {
  #incoming: Arrived;
  #link: () => Link | undefined;
  #tell: () => void;
  /** Whether an acknowledgement waits for the end of a turn. */
  #waits = false;
  /** Reads of the link until then. */
  #reads = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    incoming: Arrived,
    link: () => Link | undefined,
    tell: () => void,
  ) {
    this.#incoming = incoming;
    this.#link = link;
    this.#tell = tell;
  }

  /** There is more to acknowledge. */
  note(urgent: boolean): void {
    if (this.#link() === undefined) return; // the next one's greeting tells
    if (urgent) return this.#tell();
    if (this.#waits) return;
    if (!this.#incoming.isEmpty) {
      this.#timer ??= setTimeout(this.#onTimer, DELAY);
      return;
    }
    // The answer that the application is about to send takes it along.
    this.#waits = true;
    queueMicrotask(() => queueMicrotask(() => queueMicrotask(this.#onTurn)));
  }

  #onTimer = (): void => {
    this.#timer = undefined;
    this.#tellRest();
  };

  #onTurn = (): void => {
    const link = this.#link();
    const { expected, acknowledged } = this.#incoming;
    if (expected - acknowledged < MANY && !link?.isPartial) {
      this.#waits = false;
      return this.#tell();
    }
    this.#reads = link?.reads ?? 0;
    setImmediate(this.#onQuiet);
  };

  /** In a stream: as long as each turn reads more, there will be more to tell. */
  #onQuiet = (): void => {
    const reads = this.#link()?.reads ?? 0;
    if (this.#reads !== reads) {
      this.#reads = reads;
      setImmediate(this.#onQuiet);
      return;
    }
    this.#waits = false;
    this.#tellRest();
  };

  #tellRest(): void {
    if (this.#incoming.settled > this.#incoming.acknowledged) this.#tell();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
