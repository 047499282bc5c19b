// The calls that wait for an answer, and what settles them.

import type { CallId } from "./protocol.ts";
import type { Link } from "./_link.ts";
import type { IncomingStream } from "./_incoming_stream.ts";
import { checkRef, violation } from "./_link.ts";
import type { Parcel } from "./_parcel.ts";
import { type Pending, PendingCalls } from "./_pending.ts";
import { timeoutError } from "../_async/wait.ts";
import { fromWireError } from "./_wire_error.ts";
import { isWithinDepth } from "./_methods.ts";
import { RpcError } from "./errors.ts";
import { Streams } from "./_streams.ts";

/** Holds each call until its answer comes, or something else ends the wait. */
export class Unanswered {
  #link: Link;
  #streams: Streams;
  #parcel: Parcel;
  #pending = new PendingCalls();

  constructor(link: Link, streams: Streams, parcel: Parcel) {
    this.#link = link;
    this.#streams = streams;
    this.#parcel = parcel;
  }

  get size(): number {
    return this.#pending.size;
  }

  /** Gives it an id. */
  add(pending: Pending): void {
    this.#pending.add(pending);
  }

  get(id: CallId): Pending | undefined {
    return this.#pending.get(id);
  }

  /** Rejects; false where the call is over already. */
  fail(
    id: CallId,
    error: unknown,
    unsent: boolean = false,
    own: boolean = false,
  ): boolean {
    const pending = this.#take(id);
    if (pending === undefined) return false;
    if (unsent) this.#parcel.takeBack(pending.passed);
    pending.stream?.stream.cancel(error);
    if (own) pending.fail(error as Error);
    else pending.reject(error);
    return true;
  }

  /** Ends the wait for `id`, if there is one. */
  #take(id: CallId): Pending | undefined {
    const pending = this.#pending.take(id);
    if (pending === undefined) return undefined;
    pending.clear?.();
    if (this.#pending.size === 0) this.#link.settled();
    return pending;
  }

  /** An answer for a call given up is late; for one never made, a lie. */
  #checkId(id: CallId): void {
    if (!this.#pending.knew(id)) {
      throw violation(`Cannot read answer: call ${id} was never made`);
    }
  }

  onResult(id: CallId, value: unknown): void {
    const pending = this.#take(id);
    if (pending === undefined) return this.#checkId(id);
    if (pending.stream !== undefined) {
      const { stream, kind } = pending.stream;
      this.#bind(stream, pending.signal);
      return pending.resolve(Streams.present(stream, kind));
    }
    const { maxDepth } = this.#link.options;
    if (!isWithinDepth(value, maxDepth)) {
      const error = violation(
        `Cannot read result of ${pending.method}: ` +
          `it is nested deeper than maxDepth ${maxDepth}`,
      );
      pending.reject(error);
      throw error;
    }
    pending.resolve(value);
  }

  onError(id: CallId, value: unknown): void {
    const pending = this.#take(id);
    if (pending === undefined) return this.#checkId(id);
    const error = fromWireError(value);
    pending.stream?.stream.cancel(error);
    pending.fail(
      error.code === "deadline-exceeded" && pending.timeout !== Infinity
        ? tooLate(pending)
        : error,
    );
  }

  /** `$stream [call, id, kind]`: the answer that follows is a stream. */
  onStream([call, ref, kind]: unknown[]): void {
    const id = checkRef(call);
    const pending = this.#pending.get(id);
    if (pending === undefined) {
      this.#checkId(id);
      this.#streams.receive(ref)?.return();
      return;
    }
    if (pending.stream !== undefined) {
      throw violation(`Cannot read answer: call ${id} has two streams`);
    }
    Streams.checkKind(kind);
    const stream = this.#streams.receive(ref);
    if (stream !== undefined) pending.stream = { stream, kind };
    else {
      this.fail(
        id,
        new RpcError(
          `Cannot take stream of ${pending.method}: ` +
            `maxStreams is ${this.#link.options.maxStreams}`,
          { code: "overloaded" },
        ),
      );
    }
  }

  /** The signal of the call ends the stream too. */
  #bind(stream: IncomingStream, signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const onAbort = () => stream.cancel(signal.reason);
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    stream.onEnd = () => signal.removeEventListener("abort", onAbort);
  }

  /** The connection ended. */
  close(error: unknown): void {
    for (const pending of this.#pending.clear()) {
      pending.clear?.();
      pending.reject(error);
    }
  }
}

/** What who waited for too long is told. */
export function tooLate(pending: Pending): DOMException {
  return timeoutError(`Cannot call ${pending.method}`, pending.timeout);
}
