// The room in a window, and who waits for it.

import type { WaitOptions } from "../duplex.ts";
import { WaitList } from "../framing/_wait_list.ts";
import type { SendLog } from "./_send_log.ts";
import type { Window } from "./window.ts";

interface Waiter {
  payload: Uint8Array;
  /** Takes the payload; its sequence. */
  append: (payload: Uint8Array) => void;
}

const OPEN = Promise.resolve();

/** Lets messages into a log while both sides' windows have room. */
export class Room {
  maxMessages: number;
  maxBytes: number;
  #log: SendLog;
  #own: Required<Window>;
  #waiting = new WaitList<void, Waiter>();
  #ready: PromiseWithResolvers<void> | undefined;

  constructor(log: SendLog, own: Required<Window>) {
    this.#log = log;
    this.#own = own;
    this.maxMessages = own.maxMessages;
    this.maxBytes = own.maxBytes;
  }

  /** The peer's window; the smaller one holds. */
  setPeer({ maxMessages, maxBytes }: Required<Window>): void {
    this.maxMessages = Math.min(maxMessages, this.#own.maxMessages);
    this.maxBytes = Math.min(maxBytes, this.#own.maxBytes);
  }

  /** Lets nobody in until the peer's window is known. */
  hold(): void {
    this.maxMessages = 0;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  get #hasRoom(): boolean {
    const { next, acknowledged, bytes } = this.#log;
    return next - acknowledged < this.maxMessages && bytes < this.maxBytes;
  }

  /** Whether a message gets in at once. */
  get isOpen(): boolean {
    return this.#hasRoom && this.#waiting.size === 0;
  }

  /** Resolves when it is open, or there is nothing to wait for any more. */
  ready(): Promise<void> {
    if (this.isOpen) return OPEN;
    return (this.#ready ??= Promise.withResolvers()).promise;
  }

  /** Waits in line. The payload is the room's from now on. */
  wait(
    payload: Uint8Array,
    append: (payload: Uint8Array) => void,
    options: WaitOptions,
  ): Promise<void> {
    return this.#waiting.add("Cannot send", { payload, append }, options);
  }

  /** Lets in who has room now. */
  admit(): void {
    while (this.#waiting.size > 0 && this.#hasRoom) {
      const { item, resolve } = this.#waiting.shift()!;
      item.append(item.payload);
      resolve();
    }
    if (this.#ready !== undefined && this.isOpen) this.release();
  }

  /** Nobody waits for `ready` in vain. */
  release(): void {
    this.#ready?.resolve();
    this.#ready = undefined;
  }

  rejectAll(error: unknown): void {
    this.#waiting.rejectAll(error);
    this.release();
  }
}
