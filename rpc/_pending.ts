// The calls that wait for an answer, by their ids.

import type { CallId } from "./protocol.ts";
import type { IncomingStream } from "./_incoming_stream.ts";
import type { OutgoingStream } from "./_outgoing_stream.ts";

/** MessagePack-RPC ids have 32 bits. */
const MAX_ID = 2 ** 32 - 1;

/** What was passed along with a call. */
export interface Passed {
  streams: OutgoingStream[];
  callbacks: number[];
}

type Settle = (value: unknown) => void;
let settleNext: Settle;
let rejectNext: Settle;
/** One executor for all promises: a closure each would cost as much again. */
const capture = (resolve: Settle, reject: Settle) => {
  settleNext = resolve;
  rejectNext = reject;
};

/** A call that waits. */
export class Pending {
  id = 0;
  readonly method: string;
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
  readonly promise: Promise<unknown>;
  readonly resolve: Settle;
  readonly reject: Settle;
  /** Undoes the timer and the listener; `undefined` where there are none. */
  clear: (() => void) | undefined = undefined;
  /** The peer announced that the answer is a stream. */
  stream: { stream: IncomingStream; kind: unknown } | undefined = undefined;
  /** To be taken back where nobody can get it. */
  passed: Passed | undefined = undefined;

  constructor(
    method: string,
    timeout: number,
    signal: AbortSignal | undefined,
  ) {
    this.method = method;
    this.timeout = timeout;
    this.signal = signal;
    this.promise = new Promise(capture);
    this.resolve = settleNext;
    this.reject = rejectNext;
  }

  /**
   * Rejects with an error of this call alone. Made where the answer was read,
   * its stack would tell nothing: made again where the rejection is on its way
   * to who awaits it, it leads to the line of the call.
   */
  fail(error: Error): void {
    const retrace = () => {
      Error.captureStackTrace?.(error, retrace);
      throw error;
    };
    // Two turns: by then the promise of the call listens to this one.
    this.resolve(Promise.resolve().then(nothing).then(retrace));
  }
}

const nothing = () => {};

/**
 * Ids count up, so an array indexed by their low bits does without hashing and
 * without the garbage of a `Map` that is filled and emptied all the time. At
 * most half of it is used; an id whose place is taken is skipped.
 */
export class PendingCalls {
  size = 0;
  #places: (Pending | undefined)[] = new Array(16).fill(undefined);
  #lastId = 0;
  #wrapped = false;

  /** Gives it an id. */
  add(pending: Pending): void {
    if (this.size * 2 >= this.#places.length) this.#grow();
    const mask = this.#places.length - 1;
    do {
      if (this.#lastId === MAX_ID) {
        this.#lastId = 0;
        this.#wrapped = true;
      }
      this.#lastId++;
    } while (this.#places[this.#lastId & mask] !== undefined);
    pending.id = this.#lastId;
    this.#places[this.#lastId & mask] = pending;
    this.size++;
  }

  get(id: CallId): Pending | undefined {
    if (typeof id !== "number") return undefined;
    const pending = this.#places[id & (this.#places.length - 1)];
    return pending?.id === id ? pending : undefined;
  }

  /** Removes it; `undefined` where there is none. */
  take(id: CallId): Pending | undefined {
    const pending = this.get(id);
    if (pending === undefined) return undefined;
    this.#places[pending.id & (this.#places.length - 1)] = undefined;
    this.size--;
    return pending;
  }

  /** Whether there may once have been a call of this id. */
  knew(id: CallId): boolean {
    return typeof id === "number" && (id <= this.#lastId || this.#wrapped);
  }

  /** Removes all. */
  clear(): Pending[] {
    const all = this.#places.filter((pending) => pending !== undefined);
    this.#places = new Array(16).fill(undefined);
    this.size = 0;
    return all;
  }

  #grow(): void {
    const old = this.#places;
    const mask = old.length * 2 - 1;
    this.#places = new Array(old.length * 2).fill(undefined);
    // Two that differ in the low bits still do with one bit more.
    for (const pending of old) {
      if (pending !== undefined) this.#places[pending.id & mask] = pending;
    }
  }
}
