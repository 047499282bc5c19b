// The sending half of a session.

import type { WaitOptions } from "../duplex.ts";
import { timeoutError } from "../_async/wait.ts";
import { isCleanEnd } from "../framing/_channel_errors.ts";
import type { Codec } from "../framing/codec.ts";
import { FrameError } from "../framing/frame_error.ts";
import { invalidMessage } from "../framing/_invalid_message.ts";
import type { Check } from "../framing/_validate.ts";
import { DeliveryError } from "./delivery_error.ts";
import { Outcomes } from "./_outcomes.ts";
import { Room } from "./_room.ts";
import type { SendLog } from "./_send_log.ts";
import type { Window } from "./window.ts";

/** What an {@linkcode Outgoing} is made of. */
export interface OutgoingParts<Out> {
  log: SendLog;
  codec: Codec<unknown>;
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
  /** Async checks of messages, in their order. */
  #checks: Promise<unknown> | undefined;
  #outcomes = new Outcomes();
  /** Why nothing more can be sent. */
  #end: unknown;
  /** Whether nothing more can be delivered. */
  #failed = false;
  /** Why messages were given up, for who asks by `flush`. */
  #lost: unknown;

  constructor(parts: OutgoingParts<Out>) {
    this.#parts = parts;
    this.log = parts.log;
    this.room = new Room(parts.log, parts.window);
  }

  get canSend(): boolean {
    return this.#end === undefined && this.#checks === undefined &&
      this.room.isOpen;
  }

  get ready(): Promise<void> {
    if (this.#end !== undefined) return DONE;
    if (this.#checks === undefined) return this.room.ready();
    return this.#checks.then(() => this.ready);
  }

  send(message: Out, options?: WaitOptions): Promise<void> {
    return this.#checked(message, (checked) => {
      const payload = this.#encode(checked);
      const { signal, timeout = this.#parts.timeout } = options ?? {};
      if (signal === undefined && timeout === Infinity && this.room.isOpen) {
        this.#append(payload);
        return this.#outcomes.add(this.log.next - 1);
      }
      return this.#sendWithin(payload, { signal, timeout });
    });
  }

  /** Like `send`, and resolves when the message has its place in the window. */
  accept(message: Out, options?: WaitOptions): Promise<void> {
    return this.#checked(message, (checked) => {
      const payload = this.#encode(checked);
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
    });
  }

  trySend(message: Out): boolean {
    this.#checkOpen();
    let checked: Out | Promise<Out> = message;
    if (this.#parts.check !== undefined) {
      checked = this.#parts.check(message);
      if (checked instanceof Promise) {
        checked.catch(() => {}); // it has lost its listener
        throw new TypeError("Cannot trySend: the validator is async");
      }
    }
    if (this.#checks !== undefined || !this.room.isOpen) return false;
    this.#append(this.#encode(checked));
    return true;
  }

  /** Runs `act` with the message that may pass; async checks keep their order. */
  #checked(
    message: Out,
    act: (message: Out) => Promise<void>,
  ): Promise<void> {
    try {
      this.#checkOpen();
      if (this.#parts.check === undefined) return act(message);
      const checked = this.#parts.check(message);
      if (this.#checks === undefined && !(checked instanceof Promise)) {
        return act(checked);
      }
      const accepted = Promise.allSettled([checked, this.#checks]).then(
        ([result]) => {
          if (this.#checks === checks) this.#checks = undefined;
          if (result.status === "rejected") throw result.reason;
          this.#checkOpen();
          return { outcome: act(result.value) };
        },
      );
      const checks = accepted.catch(() => {}); // the sender learns of it
      this.#checks = checks;
      return accepted.then(({ outcome }) => outcome);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #checkOpen(): void {
    if (this.#end === undefined) return;
    throw new DeliveryError("Cannot send: the channel is over", {
      code: isCleanEnd(this.#end) ? "closed" : "lost",
      maybeDelivered: false,
      cause: this.#end,
    });
  }

  #encode(message: unknown): Uint8Array {
    let payload: Uint8Array;
    try {
      payload = this.#parts.codec.encodeShared?.(message) ??
        this.#parts.codec.encode(message);
    } catch (error) {
      throw invalidMessage("encode", error);
    }
    if (payload.length > this.#parts.maxFrameLength) {
      throw new FrameError(
        `Cannot encode frame: length ${payload.length} exceeds ` +
          `maxFrameLength ${this.#parts.maxFrameLength}`,
        { code: "too-long" },
      );
    }
    return payload;
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
            sequence < this.written,
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
          this.written > this.log.acknowledged,
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
    await this.#checks;
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
    const error = (sequence?: number) =>
      new DeliveryError(
        `Cannot deliver ${name(sequence)}: the peer has forgotten the session`,
        { code: "session-lost", maybeDelivered: true },
      );
    if (log.acknowledged < written) this.#lost = error();
    this.#outcomes.rejectBefore(written, error);
    log.acknowledge(written);
    this.room.admit();
  }
}

const DONE = Promise.resolve();

function name(sequence: number | undefined): string {
  return sequence === undefined ? "a message" : `message ${sequence}`;
}

/** The error of a message without an acknowledgement. */
function undelivered(
  cause: unknown,
  maybeDelivered: boolean,
  sequence?: number,
  code?: "closed" | "lost",
): DeliveryError {
  const isTimeout = cause instanceof DOMException &&
    cause.name === "TimeoutError";
  const why = cause instanceof Error ? cause.message : String(cause);
  return new DeliveryError(
    `Cannot deliver ${name(sequence)}: ${
      maybeDelivered ? "it may have arrived" : "it was not sent"
    } (${why})`,
    {
      code: code ?? (isTimeout ? "timeout" : "aborted"),
      maybeDelivered,
      cause,
    },
  );
}
