// The sending half of a session.

import type { WaitOptions } from "../duplex.ts";
import { timeoutError } from "../_async/wait.ts";
import { isCleanEnd } from "../framing/_channel_errors.ts";
import type { Codec } from "../framing/codec.ts";
import type { RangeCodec } from "../framing/_range_codec.ts";
import type { Check } from "../framing/_validate.ts";
import { DeliveryError } from "./delivery_error.ts";
import { encode } from "./_encode.ts";
import { OrderedChecks } from "./_ordered_checks.ts";
import { Outcomes } from "./_outcomes.ts";
import { Room } from "./_room.ts";
import type { SendLog } from "./_send_log.ts";
import { sessionLost, undelivered } from "./_undelivered.ts";
import type { Window } from "./window.ts";

/** What an {@linkcode Outgoing} is made of. */
export interface OutgoingParts<Out> {
  log: SendLog;
  codec: Codec<unknown>;
  /** The codec, where it can write small messages the short way. */
  smallCodec: RangeCodec | undefined;
  check: Check<Out> | undefined;
  window: Required<Window>;
  maxFrameLength: number;
  /** How long a send may take by default, in milliseconds. */
  timeout: number;
  /** There is something new to write. */
  onAppend: () => void;
}

/** Checks, encodes and admits messages, and tells what became of them. */
export class Outgoing<Out> {
  readonly log: SendLog;
  readonly room: Room;
  /** All before this one were written to some connection. */
  written = 0;
  /** All before this one were acknowledged by the peer. */
  acknowledged = 0;
  #parts: OutgoingParts<Out>;
  #checks: OrderedChecks<Out>;
  /** Whether a message is sent without a check, and waited for without end. */
  #isPlain: boolean;
  #outcomes = new Outcomes();
  /** Why nothing more can be sent. */
  #end: unknown;
  /** Whether nothing more can be delivered. */
  #failed = false;
  /** Why messages were given up, for who asks by `flush`. */
  #lost: unknown;

  constructor(parts: OutgoingParts<Out>) {
    this.#parts = parts;
    this.#checks = new OrderedChecks(parts.check);
    this.#isPlain = this.#checks.isEmpty && parts.timeout === Infinity;
    this.log = parts.log;
    this.room = new Room(parts.log, parts.window);
  }

  get canSend(): boolean {
    return this.#end === undefined && this.#checks.pending === undefined &&
      this.room.isOpen;
  }

  get ready(): Promise<void> {
    if (this.#end !== undefined) return DONE;
    if (this.#checks.pending === undefined) return this.room.ready();
    return this.#checks.pending.then(() => this.ready);
  }

  send(message: Out, options?: WaitOptions): Promise<void> {
    try {
      this.#checkOpen();
      if (options !== undefined || !this.#isPlain || !this.room.isOpen) {
        return this.#checks.run(
          message,
          (checked) => this.#sendChecked(checked, options),
        );
      }
      this.#appendMessage(message);
      return this.#outcomes.add(this.log.next - 1);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #sendChecked(message: Out, options?: WaitOptions): Promise<void> {
    this.#checkOpen();
    const payload = this.#encode(message);
    const { signal, timeout = this.#parts.timeout } = options ?? {};
    return this.#sendWithin(payload, { signal, timeout });
  }

  /** Like `send`, and resolves when the message has its place in the window. */
  accept(message: Out, options?: WaitOptions): Promise<void> {
    try {
      this.#checkOpen();
      return this.#checks.run(
        message,
        (checked) => this.#acceptChecked(checked, options),
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #acceptChecked(message: Out, options?: WaitOptions): Promise<void> {
    this.#checkOpen();
    const payload = this.#encode(message);
    const { signal, timeout = this.#parts.timeout } = options ?? {};
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (!this.room.isOpen) {
      return this.room.wait(payload.slice(), this.#appendWaiting, {
        signal,
        timeout,
      });
    }
    this.#append(payload);
    return DONE;
  }

  trySend(message: Out): boolean {
    this.#checkOpen();
    const checked = this.#checks.isEmpty
      ? message
      : this.#checks.checkNow(message);
    if (this.#checks.pending !== undefined || !this.room.isOpen) return false;
    this.#appendMessage(checked);
    return true;
  }

  #encode(message: Out): Uint8Array {
    return encode(this.#parts.codec, message, this.#parts.maxFrameLength);
  }

  #checkOpen(): void {
    if (this.#end === undefined) return;
    throw new DeliveryError("Cannot send: the channel is over", {
      code: isCleanEnd(this.#end) ? "closed" : "lost",
      maybeDelivered: false,
      cause: this.#end,
    });
  }

  /** Takes a message for which there is room. */
  #appendMessage(message: Out): void {
    const { smallCodec, maxFrameLength } = this.#parts;
    const length = smallCodec?.encodeSmall(message) ?? -1;
    if (length < 0 || length > maxFrameLength) {
      return this.#append(this.#encode(message));
    }
    this.log.append(smallCodec!.small, length);
    this.#parts.onAppend();
  }

  #append(payload: Uint8Array): void {
    this.log.append(payload);
    this.#parts.onAppend();
  }

  #appendWaiting = (payload: Uint8Array): void => this.#append(payload);

  async #sendWithin(payload: Uint8Array, options: WaitOptions): Promise<void> {
    const { signal, timeout = Infinity } = options;
    if (signal?.aborted) throw undelivered(signal.reason, false);
    const start = performance.now();
    let outcome: Promise<void> | undefined;
    const append = (payload: Uint8Array) => {
      this.#append(payload);
      const sequence = this.log.next - 1;
      const left = Math.max(0, timeout - (performance.now() - start));
      outcome = this.#outcomes.within(
        sequence,
        { signal, timeout: left },
        () =>
          undelivered(
            signal?.aborted
              ? signal.reason
              : timeoutError("Cannot send", timeout),
            true, // it can't be taken back: it is sent once there is a connection
            sequence,
          ),
      );
      outcome.catch(() => {}); // awaited below, perhaps a turn later
    };
    if (this.room.isOpen) append(payload);
    else {
      await this.room.wait(payload.slice(), append, options)
        .catch((error) => {
          throw error instanceof DeliveryError
            ? error
            : undelivered(error, false);
        });
    }
    await outcome;
  }

  async flush(options: WaitOptions = {}): Promise<void> {
    const { signal, timeout = Infinity } = options;
    const target = this.log.next;
    if (this.#lost === undefined && this.log.acknowledged < target) {
      await this.#outcomes.within(target - 1, options, () =>
        undelivered(
          signal?.aborted
            ? signal.reason
            : timeoutError("Cannot flush", timeout),
          true,
        ));
    }
    const lost = this.#lost;
    if (lost === undefined) return;
    if (!this.#failed) this.#lost = undefined; // told once: the channel goes on
    throw lost;
  }

  /** The peer has all before `sequence`. */
  acknowledge(sequence: number): void {
    this.acknowledged = sequence;
    this.log.acknowledge(sequence);
    this.#outcomes.acknowledge(sequence);
    this.room.admit();
  }

  /** Takes no more, but what is being checked. */
  async seal(reason: unknown): Promise<void> {
    await this.#checks.pending;
    this.#end ??= reason;
  }

  /** Waits until all is acknowledged, while that goes on. */
  async drain(timeout: number): Promise<void> {
    while (this.log.acknowledged < this.log.next || this.room.waiting > 0) {
      if (this.#failed) return;
      const before = this.log.acknowledged;
      await this.#outcomes.progress(timeout);
      if (this.#failed) return;
      if (this.log.acknowledged === before) {
        throw timeoutError("Cannot close channel", timeout);
      }
    }
  }

  /** It is over: whoever waits is told what became of their message. */
  fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#end ??= error;
    const code = isCleanEnd(error) ? "closed" : "lost";
    const { written, log } = this;
    if (log.acknowledged < log.next || this.room.waiting > 0) {
      const maybe = log.acknowledged < written;
      this.#lost = undelivered(error, maybe, undefined, code);
    }
    this.room.rejectAll(undelivered(error, false, undefined, code));
    this.#outcomes.rejectAll((sequence) =>
      undelivered(error, sequence < written, sequence, code)
    );
    log.clear();
  }

  /** The server has forgotten what was written: the senders are told so. */
  rejectWritten(): void {
    const { written, log } = this;
    if (log.acknowledged < written) this.#lost = sessionLost();
    this.#outcomes.rejectBefore(written, sessionLost);
    log.acknowledge(written);
    this.room.admit();
  }
}

const DONE = Promise.resolve();
