import type { FrameDecoder } from "../framing/format.ts";
import type { Direction, Observer } from "./_intercept.ts";
import type { MeterOptions } from "./meter_options.ts";
import type { MeterSnapshot } from "./meter_snapshot.ts";
import { totalsOf } from "./_metrics_totals.ts";
import { Totals } from "./_totals.ts";

/** How many messages may wait for an answer; the oldest are forgotten. */
const MAX_PENDING = 4096;

/** Counts what passes, for the connection and for its group. */
export class MeterObserver implements Observer {
  #own = new Totals();
  #all: Totals[];
  #options: MeterOptions;
  #decoders: Record<Direction, FrameDecoder | undefined>;
  /** When each chunk was queued, from `#head` on: they are taken in order. */
  #queuedAt: number[] = [];
  #head = 0;
  /** When each message went that waits for an answer, oldest first. */
  #pending = new Map<string | number, number>();
  #nextKey = 0;
  #over = false;

  constructor(options: MeterOptions) {
    this.#options = options;
    this.#all = [this.#own];
    if (options.metrics !== undefined) {
      this.#all.push(totalsOf(options.metrics));
    }
    const { format, maxFrameLength } = options;
    this.#decoders = {
      sent: format?.createDecoder({ maxFrameLength }),
      received: format?.createDecoder({ maxFrameLength }),
    };
  }

  opened(): void {
    for (const totals of this.#all) totals.open++;
  }

  snapshot(): MeterSnapshot {
    const { onTime: _onTime, open: _open, write, exchange, ...counters } =
      this.#own;
    return {
      ...counters,
      write: write.summary(),
      exchange: exchange.summary(),
      pendingExchanges: this.#pending.size,
    };
  }

  queued(length: number): void {
    if (this.#over) return;
    for (const totals of this.#all) totals.queue(length);
    this.#queuedAt.push(performance.now());
  }

  taken(length: number): void {
    if (this.#over) return;
    for (const totals of this.#all) totals.queuedBytes -= length;
    this.#time("write", this.#queuedAt[this.#head++]);
    if (this.#head === this.#queuedAt.length) {
      this.#queuedAt.length = this.#head = 0;
    } else if (this.#head === 1024) {
      this.#queuedAt.splice(0, this.#head);
      this.#head = 0;
    }
  }

  passed(chunk: Uint8Array, direction: Direction): void {
    const bytes = direction === "sent" ? "bytesSent" : "bytesReceived";
    for (const totals of this.#all) totals[bytes] += chunk.byteLength;
    const decoder = this.#decoders[direction];
    if (decoder === undefined) return this.#message(chunk, direction);
    try {
      // The chunk goes on to others, who may transfer it; the decoder keeps parts.
      decoder.push(
        chunk.slice(),
        (payload) => this.#message(payload, direction),
      );
    } catch {
      this.#decoders[direction] = undefined;
      this.#error();
    }
  }

  #message(payload: Uint8Array, direction: Direction): void {
    const count = direction === "sent" ? "messagesSent" : "messagesReceived";
    for (const totals of this.#all) totals[count]++;
    const { exchanges, exchangeKey } = this.#options;
    if (exchanges === undefined) return;
    const isQuestion = direction === exchanges;
    let key: string | number | undefined;
    if (exchangeKey !== undefined) {
      try {
        key = exchangeKey(payload, direction);
      } catch { // no part of an exchange that we know
      }
    } else {
      key = isQuestion ? this.#nextKey++ : this.#pending.keys().next().value;
    }
    if (key === undefined) return;
    if (!isQuestion) {
      const askedAt = this.#pending.get(key);
      if (askedAt === undefined) return;
      this.#pending.delete(key);
      return this.#time("exchange", askedAt);
    }
    this.#pending.set(key, performance.now());
    if (this.#pending.size > MAX_PENDING) {
      this.#pending.delete(this.#pending.keys().next().value!);
    }
  }

  #time(what: "write" | "exchange", since: number): void {
    const time = Math.max(0, performance.now() - since);
    for (const totals of this.#all) totals.time(what, time);
  }

  #error(): void {
    for (const totals of this.#all) totals.errors++;
  }

  ended(direction: Direction, isCut: boolean): void {
    if (isCut) return;
    try {
      this.#decoders[direction]?.end();
    } catch { // inside a frame
      this.#error();
    }
  }

  failed(_error: unknown, _direction: Direction): void {
    this.#error();
  }

  closed(): void {
    const { queuedBytes } = this.#own;
    for (const totals of this.#all) {
      totals.queuedBytes -= queuedBytes;
      totals.open--;
    }
    this.#queuedAt = [];
    this.#head = 0;
    this.#pending.clear();
    this.#over = true;
  }
}
