// Counts the messages that arrived: what is acknowledged of them, and when.

import type { Window } from "./window.ts";

/** What {@linkcode ReceivedCounts} work with. */
export interface ReceivedCountsParts {
  /** What the peer may send before it is acknowledged. */
  window: Required<Window>;
  /** There is more to acknowledge: at once, or when it is convenient. */
  onSettled: (urgent: boolean) => void;
}

/**
 * Messages arrive, are taken, are settled, and are acknowledged, in this order.
 * What arrived and is not acknowledged never exceeds the window.
 */
export class ReceivedCounts {
  /** The number of the next message to arrive. */
  expected = 0;
  /** All before this one are the application's: the peer may forget them. */
  settled = 0;
  /** All before this one were acknowledged. */
  acknowledged = 0;
  /** Messages that are taken and not settled, and their bytes. */
  taken = 0;
  #takenBytes = 0;
  #parts: ReceivedCountsParts;
  /**
   * So much is acknowledged at once. Who sends small messages takes time to make
   * them: a quarter of the window leaves three to live on. For long ones half
   * will do.
   */
  #manyMessages: number;
  #manyBytes: number;
  /** Bytes that arrived and are not acknowledged, and those settled of them. */
  #heldBytes = 0;
  #settledBytes = 0;
  /** Whether `onSettled` was called since the last acknowledgement. */
  #noted = false;
  /** Where `settled` makes an acknowledgement urgent. */
  #dueAt: number;

  constructor(parts: ReceivedCountsParts) {
    this.#parts = parts;
    this.#manyMessages = Math.ceil(parts.window.maxMessages / 4);
    this.#manyBytes = Math.ceil(parts.window.maxBytes / 2);
    this.#dueAt = this.#manyMessages;
  }

  /** The peer's window: the smaller one holds. */
  setPeer({ maxMessages, maxBytes }: Required<Window>): void {
    const { window } = this.#parts;
    this.#manyMessages = Math.ceil(
      Math.min(maxMessages, window.maxMessages) / 4,
    );
    this.#manyBytes = Math.ceil(Math.min(maxBytes, window.maxBytes) / 2);
    this.#dueAt = this.acknowledged + this.#manyMessages;
  }

  /** Counts what arrives; `false` where that exceeds the window. */
  arrive(count: number, bytes: number, lastLength: number): boolean {
    const { maxMessages, maxBytes } = this.#parts.window;
    const held = this.#heldBytes + bytes;
    if (
      this.expected + count - this.acknowledged > maxMessages ||
      held - lastLength >= maxBytes
    ) return false;
    this.expected += count;
    this.#heldBytes = held;
    return true;
  }

  /** A message was taken, and counts when it is settled. */
  take(length: number): void {
    this.taken++;
    this.#takenBytes += length;
  }

  /** A message was taken, and counts at once. */
  settleOne(length: number, isLast: boolean): void {
    const settled = ++this.settled;
    const bytes = this.#settledBytes += length;
    if (
      isLast || !this.#noted || settled >= this.#dueAt ||
      bytes >= this.#manyBytes
    ) this.#note(isLast);
  }

  /** What was taken counts; `isEmpty` where nothing else is here. */
  settle(isEmpty: boolean): void {
    this.settled += this.taken;
    this.#settledBytes += this.#takenBytes;
    this.taken = this.#takenBytes = 0;
    this.#note(isEmpty);
  }

  /** Tells that there is more to acknowledge, where that is news. */
  #note(isEmpty: boolean): void {
    const many = this.settled - this.acknowledged >= this.#manyMessages ||
      this.#settledBytes >= this.#manyBytes;
    // Amid others, one call until the next acknowledgement is enough.
    if (many || isEmpty || !this.#noted) {
      this.#noted = true;
      this.#parts.onSettled(many);
    }
  }

  /** Notes that the peer is told now. Returns what to tell. */
  acknowledge(): number {
    this.acknowledged = this.settled;
    this.#dueAt = this.settled + this.#manyMessages;
    this.#noted = false;
    // The length of a payload is gone where its buffer was transferred.
    this.#heldBytes = this.settled === this.expected
      ? 0
      : this.#heldBytes - this.#settledBytes;
    this.#settledBytes = 0;
    return this.acknowledged;
  }

  /** Goes on with other numbers. */
  restart(sequence: number): void {
    this.expected = this.settled = this.acknowledged = sequence;
    this.#dueAt = this.settled + this.#manyMessages;
    this.#heldBytes = this.#settledBytes = 0;
    this.taken = this.#takenBytes = 0;
  }
}
