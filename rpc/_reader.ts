// Reads what the peer sends, as fast as it takes our answers.

import type { DuplexChannel } from "../framing/_channel.ts";
import type { Taker } from "../framing/_inbox.ts";
import type { Dispatch } from "./_dispatch.ts";
import type { Liveness } from "./_liveness.ts";
import type { Outbox } from "./_outbox.ts";
import type { Wire } from "./protocol.ts";
import type { Unanswered } from "./_unanswered.ts";

/**
 * Answers that may wait for a peer that doesn't read; then we stop reading.
 * While this side waits for answers itself it reads on for longer: two sides
 * that flood each other would both stop otherwise. A peer within its own
 * default `maxPendingCalls` never has more to wait for.
 */
const MAX_UNSENT = 256;
const MAX_UNSENT_WHILE_CALLING = 65_536;

/** What a {@linkcode Reader} works with. */
export interface ReaderParts {
  channel: DuplexChannel<unknown, unknown>;
  wire: Wire;
  outbox: Outbox;
  unanswered: Unanswered;
  dispatch: Dispatch;
  liveness: Liveness;
  /** The channel's end, or a message that broke the rules. */
  onEnd: (cause: unknown) => void;
}

/** Hands each message to the dispatch, until it is stopped. */
export class Reader implements Taker<unknown> {
  #channel: DuplexChannel<unknown, unknown>;
  #wire: Wire;
  #outbox: Outbox;
  #unanswered: Unanswered;
  #dispatch: Dispatch;
  #liveness: Liveness;
  #onEnd: (cause: unknown) => void;
  #stopped = false;
  /** Wakes what waits for the peer to read: now this side calls too. */
  #onCall: (() => void) | undefined;

  constructor(parts: ReaderParts) {
    this.#channel = parts.channel;
    this.#wire = parts.wire;
    this.#outbox = parts.outbox;
    this.#unanswered = parts.unanswered;
    this.#dispatch = parts.dispatch;
    this.#liveness = parts.liveness;
    this.#onEnd = parts.onEnd;
  }

  async run(): Promise<void> {
    try {
      while (!this.#stopped) {
        if (this.#outbox.answers >= MAX_UNSENT) await this.#catchUp();
        const message = this.#channel.tryReceive();
        if (message !== undefined) this.#accept(message);
        else await this.#channel.handTo(this);
      }
    } catch (error) {
      this.#onEnd(error);
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  /** This side calls too. */
  called(): void {
    this.#onCall?.();
  }

  take(message: unknown): boolean {
    try {
      this.#accept(message);
    } catch (error) {
      this.#onEnd(error);
    }
    return !this.#stopped && this.#outbox.answers < MAX_UNSENT;
  }

  turnOver(): void {
    this.#outbox.turnOver();
  }

  /** A peer that asks without reading the answers has to wait. */
  async #catchUp(): Promise<void> {
    while (
      this.#outbox.answers >=
        (this.#unanswered.size > 0 ? MAX_UNSENT_WHILE_CALLING : MAX_UNSENT)
    ) {
      const called = new Promise<void>((resolve) => this.#onCall = resolve);
      await Promise.race([this.#outbox.progress(), called]);
    }
    this.#onCall = undefined;
  }

  #accept(message: unknown): void {
    this.#liveness.received++;
    this.#wire.read(message, this.#dispatch);
  }
}
