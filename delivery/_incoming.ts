// The receiving half of a session.

import type { WaitOptions } from "../duplex.ts";
import type { FrameError } from "../framing/frame_error.ts";
import { type Waiting, WaitList } from "../framing/_wait_list.ts";
import { decode, type DecodeParts, NOTHING, Refused } from "./_decode.ts";
import { ProtocolError } from "./delivery_error.ts";
import { type DataRun, payloadLength } from "./_frame_header.ts";
import { PayloadQueue } from "./_payload_queue.ts";
import {
  ReceivedCounts,
  type ReceivedCountsParts,
} from "./_received_counts.ts";
import type { Window } from "./window.ts";
import { HEADER_BYTES } from "./_wire.ts";

/** What an {@linkcode Incoming} is made of. */
export interface IncomingParts<In>
  extends DecodeParts<In>, ReceivedCountsParts {
  /** Whether a message counts when it was taken, or when the next is asked for. */
  whenHandled: boolean;
}

/** Holds the messages that arrived until the application takes them. */
export class Incoming<In> {
  duplicates = 0;
  /** Whether a message was handed out since `settle`. */
  isHandling = false;
  /** Why no more messages come, once none do. */
  end: unknown;
  #parts: IncomingParts<In>;
  #whenHandled: boolean;
  #counts: ReceivedCounts;
  #queue = new PayloadQueue();
  #waiting = new WaitList<In, undefined>();
  /**
   * The message before those in the queue: its async check runs, and is done
   * where it is no promise any more. Who waits for it can give up.
   */
  #ahead: In | Refused | Promise<In | Refused> | typeof NOTHING = NOTHING;
  /** Who waits for all to be taken. */
  #onEmpty: (() => void) | undefined;
  /** Messages in the queue from a session that is no more. */
  #stale = 0;
  /** All that was taken was refused and reported: nobody handles it. */
  #onRefused = (): void => this.settle();

  constructor(parts: IncomingParts<In>) {
    this.#parts = parts;
    this.#whenHandled = parts.whenHandled;
    this.#counts = new ReceivedCounts(parts);
  }

  /** The number of the next message to arrive. */
  get expected(): number {
    return this.#counts.expected;
  }

  /** All before this one are the application's: the peer may forget them. */
  get settled(): number {
    return this.#counts.settled;
  }

  /** All before this one were acknowledged. */
  get acknowledged(): number {
    return this.#counts.acknowledged;
  }

  /** The peer's window: the smaller one holds. */
  setPeer(window: Required<Window>): void {
    this.#counts.setPeer(window);
  }

  /**
   * From now on, what was taken counts when it is handled. `onRefused` is told
   * where all of it was refused, instead of that it counts at once.
   */
  holdUntilHandled(onRefused: () => void = this.#onRefused): void {
    this.#whenHandled = true;
    this.#onRefused = onRefused;
  }

  /** The number of the message that was taken last. */
  get last(): number {
    return this.#counts.settled + this.#counts.taken - 1;
  }

  /**
   * Takes the next messages from the wire: a run that is `bytes` from `start` to
   * `end`. Throws where they can't be that.
   */
  push(bytes: Uint8Array, start: number, end: number, run: DataRun): void {
    const { count } = run;
    const counts = this.#counts;
    const ahead = (run.sequence - counts.expected) | 0;
    if (ahead < 0) {
      if (count > 1) return this.#pushEach(bytes, start, end, run);
      this.duplicates++;
      this.#parts.onSettled(true); // the peer may have missed it
      return;
    }
    if (ahead > 0) throw this.gap(counts.expected + ahead);
    const length = end - start - (count - 1) * HEADER_BYTES;
    if (!counts.arrive(count, length, run.lastLength)) {
      if (count > 1) return this.#pushEach(bytes, start, end, run);
      const { maxMessages, maxBytes } = this.#parts.window;
      throw new ProtocolError(
        `Cannot receive message ${counts.expected}: the peer exceeds its ` +
          `window of ${maxMessages} messages or ${maxBytes} bytes`,
        { code: "window" },
      );
    }
    if (this.end !== undefined) return; // nobody takes it: no acknowledgement
    this.#queue.push(bytes, start, start + run.firstLength, count);
    this.#handOut();
  }

  /** Gives those who wait what is here. */
  #handOut(): void {
    while (this.#waiting.size > 0) {
      const item = this.take();
      if (item === NOTHING) return;
      give(this.#waiting.shift()!, item);
    }
  }

  /** The messages of a run of which not all are new, or fit, one by one. */
  #pushEach(bytes: Uint8Array, start: number, end: number, run: DataRun): void {
    let { sequence, firstLength: length } = run;
    for (;; sequence++) {
      const stop = start + length;
      this.push(bytes, start, stop, {
        sequence,
        count: 1,
        firstLength: length,
        lastLength: length,
      });
      if (stop === end) return;
      length = payloadLength(bytes, stop);
      start = stop + HEADER_BYTES;
    }
  }

  /** The error of messages that are missing before `sequence`. */
  gap(sequence: number): ProtocolError {
    return new ProtocolError(
      `Cannot receive message ${sequence}: message ${this.expected} is missing`,
      { code: "gap" },
    );
  }

  /** Takes the next payload off the queue, and counts it. */
  #shift(): void {
    const queue = this.#queue;
    queue.shift();
    const isLast = queue.size === 0;
    if (isLast) this.#onEmpty?.();
    const length = queue.end - queue.start;
    if (this.#stale > 0) this.#stale--;
    else if (this.#whenHandled) this.#counts.take(length);
    else this.#counts.settleOne(length, isLast);
  }

  /** The next message that is here and checked, what refused it, or `NOTHING`. */
  take(): In | Refused | typeof NOTHING {
    if (this.#ahead !== NOTHING) return this.#takeAhead();
    const queue = this.#queue;
    while (queue.size > 0) {
      this.#shift();
      const item = decode(queue.bytes, queue.start, queue.end, this.#parts);
      if (queue.size === 0) queue.release();
      if (item === NOTHING) continue; // it was refused and reported
      if (item instanceof Promise) return this.#await(item);
      this.isHandling = true;
      return item;
    }
    if (!this.isHandling && this.#counts.taken > 0) this.#onRefused();
    return NOTHING;
  }

  #takeAhead(): In | Refused | typeof NOTHING {
    const item = this.#ahead;
    if (item instanceof Promise) return NOTHING;
    this.#ahead = NOTHING;
    this.isHandling = true;
    return item;
  }

  /** Keeps those that follow until the message's check is done. */
  #await(checked: Promise<In | Refused>): typeof NOTHING {
    this.#ahead = checked;
    checked.then((item) => {
      if (this.#ahead !== checked) return; // it was stopped
      this.#ahead = item instanceof Refused ? this.#report(item) : item;
      this.#handOut();
      const isOver = this.end !== undefined && this.#ahead === NOTHING;
      if (isOver) this.#waiting.rejectAll(this.end);
    });
    return NOTHING;
  }

  #report(refused: Refused): Refused | typeof NOTHING {
    const { onInvalid } = this.#parts;
    if (onInvalid === undefined) return refused;
    try {
      onInvalid(refused.error);
      return NOTHING;
    } catch (thrown) { // for who receives
      return new Refused(thrown as FrameError);
    }
  }

  /** The next message that is here. Throws the error of a refused one. */
  tryReceive(): In | undefined {
    this.settle();
    const item = this.take();
    if (item === NOTHING) return undefined;
    if (item instanceof Refused) throw item.error;
    return item;
  }

  receive(options?: WaitOptions): Promise<In> {
    if (options?.signal?.aborted) return Promise.reject(options.signal.reason);
    if (this.#counts.taken > 0) this.settle();
    else this.isHandling = false;
    const item = this.take();
    if (item instanceof Refused) return Promise.reject(item.error);
    if (item !== NOTHING) return Promise.resolve(item);
    if (this.end !== undefined && this.#ahead === NOTHING) {
      return Promise.reject(this.end);
    }
    return this.#waiting.add("Cannot receive", undefined, options);
  }

  /** Resolves when all that is here is taken, or a turn later. */
  whenTaken(): Promise<void> | undefined {
    if (this.isEmpty) return undefined;
    return new Promise((resolve) => {
      const immediate = setImmediate(resolve);
      this.#onEmpty = () => {
        this.#onEmpty = undefined;
        clearImmediate(immediate);
        resolve();
      };
    });
  }

  get isEmpty(): boolean {
    return this.#queue.size === 0;
  }

  /** Counts what was taken as the application's. */
  settle(): void {
    this.isHandling = false;
    if (this.#counts.taken === 0 || this.#ahead !== NOTHING) return;
    this.#counts.settle(this.isEmpty);
  }

  /** Notes that the peer is told now. Returns what to tell. */
  acknowledge(): number {
    return this.#counts.acknowledge();
  }

  /** Goes on with other numbers. What waits in the queue stays. */
  restart(sequence: number): void {
    this.#stale = this.#queue.size;
    this.#counts.restart(sequence);
  }

  /** No more messages come after those that are here. */
  finish(reason: unknown): void {
    this.end ??= reason;
    if (this.#ahead === NOTHING) this.#waiting.rejectAll(this.end);
  }

  /** Ends it from this side. What is here is dropped. */
  stop(reason: unknown): void {
    this.#queue.clear();
    this.#ahead = NOTHING;
    this.#stale = 0;
    this.finish(reason);
  }
}

function give<In>(waiting: Waiting<In, undefined>, item: In | Refused): void {
  if (item instanceof Refused) waiting.reject(item.error);
  else waiting.resolve(item);
}
