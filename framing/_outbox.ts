// The sending half of a channel.

import type { RawSink } from "../_async/raw_io.ts";
import type { WaitOptions } from "../duplex.ts";
import { FrameBatch } from "./_batch.ts";
import type { FrameFormat, FrameLimits } from "./format.ts";
import { WaitList } from "./_wait_list.ts";

/** What an {@linkcode Outbox} is made of. */
export interface OutboxParts {
  /** A stream's writer, or a connection's short way. */
  sink: RawSink;
  /** Whether the sink leaves alone what it took: its memory serves again. */
  reuses: boolean;
  format: FrameFormat;
  limits: FrameLimits;
  highWaterMark: number;
  onFail: (error: unknown) => void;
}

/**
 * Whose a payload's bytes are: the outbox may keep `"owned"` ones, has to copy
 * `"shared"` ones at once, and may use `"borrowed"` ones until it says it is done.
 */
export type Ownership = "owned" | "shared" | "borrowed";

const DONE = Promise.resolve();

/**
 * Collects the frames of a turn in one batch and writes it. While a write is
 * under way, frames go on collecting.
 */
export class Outbox {
  /** Why nothing more can be sent, once nothing can. */
  end: unknown;
  /** Whether the stream is gone. */
  failed = false;
  #sink: RawSink;
  #batch: FrameBatch;
  #highWaterMark: number;
  #onFail: (error: unknown) => void;
  /** Bytes and chunks that the stream was given and has not taken. */
  #unsent = 0;
  #writes = 0;
  #lastWrite = DONE;
  #scheduled = false;
  #waiting = new WaitList<void, Waiter>();
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(parts: OutboxParts) {
    this.#sink = parts.sink;
    this.#highWaterMark = parts.highWaterMark;
    this.#onFail = parts.onFail;
    this.#batch = new FrameBatch(
      parts.format,
      parts.limits,
      (chunk) => this.#write(chunk),
    );
    this.#batch.reuses = parts.reuses;
    this.#batch.large = parts.sink.onePiece ?? this.#batch.large;
  }

  /** Bytes that were accepted and that the transport has not taken. */
  get queued(): number {
    return this.#batch.length + this.#unsent;
  }

  get #isFull(): boolean {
    return this.#batch.length + this.#unsent >= this.#highWaterMark ||
      this.#waiting.size > 0;
  }

  /** Throws at once what is wrong with the payload. */
  send(
    payload: Uint8Array,
    ownership: Ownership,
    options?: WaitOptions,
  ): Promise<void> {
    this.#batch.check(payload);
    if (
      ownership === "borrowed" &&
      (options !== undefined || payload.length < this.#batch.large)
    ) {
      // What the stream was given can't be taken back when the time is over.
      ownership = "shared";
    }
    if (!this.#isFull) return this.#accept(payload, ownership);
    if (ownership === "shared") {
      payload = payload.slice();
      ownership = "owned";
    }
    return this.#waiting.add("Cannot send", { payload, ownership }, options);
  }

  /** Resolves when something can be sent; `undefined` where it can at once. */
  room(): Promise<void> | undefined {
    if (this.end !== undefined || !this.#isFull) return undefined;
    return this.#waiting.add("Cannot send", ROOM);
  }

  trySend(payload: Uint8Array, ownership: Ownership): boolean {
    this.#batch.check(payload);
    if (this.#isFull) return false;
    // Nobody would learn when borrowed bytes are free again.
    this.#accept(payload, ownership === "borrowed" ? "shared" : ownership);
    return true;
  }

  /** As `trySend`, of the first `length` of `bytes`: see `addSmall`. */
  trySendSmall(bytes: Uint8Array, length: number): boolean {
    if (this.#isFull) return false;
    this.#batch.addSmall(bytes, length);
    this.#schedule();
    return true;
  }

  /** Writes everything, also what waits for room, and resolves when it is out. */
  drain(): Promise<void> {
    this.#admit(Infinity);
    this.#batch.flush();
    if (this.#writes === 0 || this.failed) return DONE;
    return (this.#idle ??= Promise.withResolvers()).promise;
  }

  /** Nothing more can be sent; what was accepted still is. */
  seal(reason: unknown): void {
    this.end ??= reason;
  }

  /** The stream is gone, and with it what was accepted. */
  fail(reason: unknown): void {
    this.end = reason;
    this.failed = true;
    this.#waiting.rejectAll(reason);
    this.#wakeIdle();
  }

  #accept(payload: Uint8Array, ownership: Ownership): Promise<void> {
    this.#batch.add(payload, ownership !== "shared");
    if (ownership === "borrowed") {
      return this.#lastWrite.catch((error) => {
        throw this.end ?? error;
      });
    }
    this.#schedule();
    return DONE;
  }

  /** Writes what was collected, where no write is under way. */
  flushNow(): void {
    if (this.#writes === 0 && !this.failed) this.#batch.flush();
  }

  #schedule(): void {
    if (this.#writes > 0 || this.#scheduled) return;
    this.#scheduled = true;
    DONE.then(this.#flush);
  }

  #flush = (): void => {
    this.#scheduled = false;
    if (this.#writes === 0 && !this.failed) this.#pump();
  };

  #pump(): void {
    this.#batch.flush();
    if (this.#writes > 0) return;
    this.#admit(this.#highWaterMark); // it is out already: nobody else tells
    if (this.queued === 0 && this.#idle !== undefined) this.#wakeIdle();
  }

  #wakeIdle(): void {
    this.#idle?.resolve();
    this.#idle = undefined;
  }

  #write(chunk: Uint8Array): void {
    if (this.#writes === 0 && this.#sink.tryWrite !== undefined) {
      const count = this.#sink.tryWrite(chunk);
      if (count === chunk.length) {
        this.#lastWrite = DONE;
        return this.#batch.release(chunk);
      }
      if (count > 0) chunk = chunk.subarray(count);
    }
    this.#unsent += chunk.length;
    this.#writes++;
    this.#lastWrite = this.#sink.write(chunk);
    this.#lastWrite.then(() => this.#written(chunk), this.#onFail);
  }

  #written(chunk: Uint8Array): void {
    this.#unsent -= chunk.length;
    this.#writes--;
    if (this.#batch.reuses) this.#batch.release(chunk);
    if (this.failed) return;
    if (this.#waiting.size > 0) this.#admit(this.#highWaterMark);
    if (this.#writes === 0) this.#pump();
  }

  #admit(highWaterMark: number): void {
    while (this.queued < highWaterMark) {
      const waiting = this.#waiting.shift();
      if (waiting === undefined) return;
      const { payload, ownership } = waiting.item;
      if (waiting.item === ROOM) waiting.resolve();
      else waiting.resolve(this.#accept(payload, ownership));
    }
  }
}

interface Waiter {
  payload: Uint8Array;
  ownership: Ownership;
}

/** Who waits only for the room. */
const ROOM: Waiter = { payload: new Uint8Array(0), ownership: "owned" };
