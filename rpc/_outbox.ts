// What waits to be sent when the channel is full, in order.

import { ConnectionClosedError } from "../duplex.ts";
import { MAX_TIMER, timeoutError } from "../_async/wait.ts";
import type { DuplexChannel } from "../framing/_channel.ts";

/** Told of a message without an encoding, and the token that came with it. */
export type Fail = (error: unknown, token: unknown) => void;

interface Entry {
  message: unknown;
  fail: Fail | undefined;
  /** Passed on to `fail`. */
  token: unknown;
  /** It answers the peer, rather than to be of our own accord. */
  isAnswer: boolean;
}

/**
 * After so many messages of one turn, they leave before it is over: the peer
 * goes on with them while this side makes the others.
 */
const EARLY = 16;

/** Sends at once where there is room, in order always. */
export class Outbox {
  #channel: DuplexChannel<unknown, unknown>;
  #stallTimeout: number;
  #onBroken: (error: unknown) => void;
  #entries: Entry[] = [];
  #draining = false;
  #progress = false;
  #waiters: (() => void)[] = [];
  #closed = false;
  /** Messages since some were written early, or a turn was over. */
  #unwritten = 0;
  /** Answers that wait here: they show how far the peer is behind. */
  answers = 0;

  constructor(
    channel: DuplexChannel<unknown, unknown>,
    stallTimeout: number,
    onBroken: (error: unknown) => void,
  ) {
    this.#channel = channel;
    this.#stallTimeout = stallTimeout;
    this.#onBroken = onBroken;
  }

  /** Messages that wait here, on top of what the channel holds. */
  get length(): number {
    return this.#entries.length;
  }

  /** Sends or queues. Throws, or calls `fail` later, where it can't encode. */
  post(
    message: unknown,
    fail?: Fail,
    token?: unknown,
    isAnswer: boolean = false,
  ): void {
    if (this.#closed) return;
    if (this.#entries.length === 0) {
      try {
        if (this.#channel.trySend(message)) {
          if (++this.#unwritten >= EARLY) this.turnOver();
          return;
        }
      } catch (error) {
        if (this.#isEnd(error)) return this.#onBroken(error);
        if (fail === undefined) throw error;
        fail(error, token);
        return;
      }
    }
    this.#entries.push({ message, fail, token, isAnswer });
    if (isAnswer) this.answers++;
    if (!this.#draining) this.#drain();
  }

  /** Whether the channel can't send any more, rather than not this message. */
  #isEnd(error: unknown): boolean {
    return error === this.#channel.sendingEnd ||
      error instanceof ConnectionClosedError ||
      (error instanceof DOMException && error.name === "TimeoutError");
  }

  /** What was sent leaves. */
  turnOver(): void {
    this.#unwritten = 0;
    this.#channel.flushNow();
  }

  /** Resolves when fewer than `limit` messages wait here. */
  room(limit: number): Promise<void> | undefined {
    if (this.#closed || this.#entries.length < limit) return undefined;
    return this.progress().then(() => this.room(limit));
  }

  /** Resolves when some of what waits here was sent, or it is closed. */
  progress(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  async #drain(): Promise<void> {
    this.#draining = true;
    const watch = this.#watchStall();
    while (this.#entries.length > 0 && !this.#closed) {
      // Takes all there are, so that shifting stays cheap.
      const entries = this.#entries;
      let sent = 0;
      for (; sent < entries.length && !this.#closed; sent++) {
        const { message, fail, token, isAnswer } = entries[sent];
        if (isAnswer) this.answers--;
        try {
          await this.#channel.room();
          await this.#channel.send(message);
          this.#progress = true;
        } catch (error) {
          if (!this.#isEnd(error)) fail?.(error, token);
          else this.#onBroken(error);
        }
        if (sent > 64) {
          entries.splice(0, sent + 1);
          sent = -1;
          this.#wake();
        }
      }
      this.#entries.splice(0, sent);
      this.#wake();
    }
    clearInterval(watch);
    this.#draining = false;
    this.#wake();
  }

  /** One timer while anything waits, not one for each message. */
  #watchStall(): ReturnType<typeof setInterval> | undefined {
    if (this.#stallTimeout > MAX_TIMER) return undefined;
    this.#progress = false;
    return setInterval(() => {
      if (!this.#progress) {
        this.#onBroken(timeoutError("Cannot send", this.#stallTimeout));
      }
      this.#progress = false;
    }, this.#stallTimeout);
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  /** Resolves when everything was handed to the channel. */
  async flush(): Promise<void> {
    while (this.#entries.length > 0 && !this.#closed) {
      await this.progress();
    }
  }

  /** Drops what waits. */
  close(): void {
    this.#closed = true;
    this.#entries = [];
    this.answers = 0;
    this.#wake();
  }
}
