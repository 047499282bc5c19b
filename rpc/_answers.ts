// What callers get: results, streams and errors.

import type { CallId } from "./protocol.ts";
import type { Link } from "./_link.ts";
import type { ServedCall } from "./_served_call.ts";
import type { Streams } from "./_streams.ts";
import type { StreamKind } from "./_values.ts";
import { redact, textOnly } from "./_redact.ts";
import { RpcError } from "./errors.ts";
import { streamKind } from "./_values.ts";

/** What answers ask of who runs the calls. */
export interface AnswersHost {
  /** The wait of the caller is over. */
  answered(call: ServedCall): void;
  /** The answer is a stream: the call runs on. */
  streams(call: ServedCall): void;
  /** That stream is over. */
  streamed(call: ServedCall): void;
}

/** Answers each call once. */
export class Answers {
  #link: Link;
  #streams: Streams;
  #host: AnswersHost;
  #onUnsent = (error: unknown, token: unknown): void => {
    const call = token as ServedCall;
    this.#postError(call, call.id!, unsendable(call, error));
  };

  constructor(link: Link, streams: Streams, host: AnswersHost) {
    this.#link = link;
    this.#streams = streams;
    this.#host = host;
  }

  /** The handler returned `value`. */
  succeed(call: ServedCall, value: unknown): void {
    let kind: StreamKind | undefined;
    try {
      kind = streamKind(value);
      if (kind !== undefined) {
        return this.#stream(call, value as AsyncIterable<unknown>, kind);
      }
    } catch (error) { // a locked stream, a getter that throws
      return this.fail(call, error);
    }
    const first = this.#answer(call);
    this.release(call);
    const { id } = call;
    if (!first || id === undefined) return;
    const message = this.#link.wire.result(id, value);
    if (message !== undefined) {
      this.#link.answer(message, this.#onUnsent, call);
    }
  }

  /** The handler threw, or the call was refused. */
  fail(call: ServedCall, error: unknown): void {
    const first = this.#answer(call);
    this.release(call);
    if (!first) return; // it throws late, when nobody waits any more
    if (call.id !== undefined) return this.#postError(call, call.id, error);
    // Programs tell much that nobody listens to: that is no error.
    if (error instanceof RpcError && error.code === "method-not-found") return;
    this.#link.options.onError(error, this.#link.session);
  }

  /** Answers a call whose handler may go on. */
  stop(call: ServedCall, error: RpcError): void {
    const first = this.#answer(call);
    if (!call.running) this.release(call);
    if (first && call.id !== undefined) this.#postError(call, call.id, error);
  }

  /** The answer is a stream: the call lives until that ends. */
  #stream(
    call: ServedCall,
    source: AsyncIterable<unknown>,
    kind: StreamKind,
  ): void {
    const streams = this.#streams;
    const { options } = this.#link;
    const { id } = call;
    const refuse = !options.protocol.extensions
      ? new RpcError(
        `Cannot answer ${call.method}: ${options.protocol.name} has no form ` +
          "for a stream without extensions",
        { code: "internal" },
      )
      : streams.canSend
      ? undefined
      : new RpcError(
        `Cannot answer ${call.method}: maxStreams ${options.maxStreams} is ` +
          "reached",
        { code: "overloaded" },
      );
    if (call.answered || id === undefined || refuse !== undefined) {
      discard(source);
      if (refuse !== undefined && !call.answered) {
        return this.fail(call, refuse);
      }
      this.#answer(call);
      return this.release(call);
    }
    const stream = streams.send(source, call);
    this.#host.streams(call);
    stream.onEnd = () => {
      call.abort(new RpcError("The stream is over", { code: "cancelled" }));
      this.release(call);
      this.#host.streamed(call);
    };
    this.#answer(call);
    this.#link.postExtension("$stream", [id, stream.id, kind]);
    const message = this.#link.wire.result(id, null);
    if (message !== undefined) this.#link.answer(message);
  }

  /** Ends the wait of the caller; false where it is over already. */
  #answer(call: ServedCall): boolean {
    if (call.timer !== undefined) clearTimeout(call.timer);
    call.timer = undefined;
    if (call.answered) return false;
    call.answered = true;
    this.#host.answered(call);
    return true;
  }

  /** Ends the streams and callbacks that came along. */
  release(call: ServedCall): void {
    const { streams, callbacks } = call;
    if (streams === undefined && callbacks === undefined) return;
    call.streams = call.callbacks = undefined;
    for (const stream of streams ?? []) stream.return();
    const ids: number[] = [];
    for (const callback of callbacks ?? []) {
      const id = callback.settle();
      if (id !== undefined) ids.push(id);
    }
    if (ids.length > 0) this.#link.postExtension("$release", ids);
  }

  #postError(call: ServedCall, id: CallId, thrown: unknown): void {
    const wire = redact(this.#link, thrown, call);
    const message = this.#link.wire.error(id, wire);
    if (message === undefined) return;
    this.#link.answer(message, () => {
      const plain = this.#link.wire.error(id, textOnly(wire));
      if (plain !== undefined) this.#link.answer(plain);
    });
  }
}

/** Ends a source that nobody will read. */
function discard(source: AsyncIterable<unknown>): void {
  if (source instanceof ReadableStream) {
    source.cancel().catch(() => {});
    return;
  }
  const returned = source[Symbol.asyncIterator]().return?.();
  Promise.resolve(returned).catch(() => {});
}

function unsendable(call: ServedCall, cause: unknown): RpcError {
  const why = cause instanceof Error
    ? `, ${cause.message.replace(/^Cannot encode \w+: /, "")}`
    : "";
  return new RpcError(
    `Cannot answer ${call.method}: the result can't be sent${why}`,
    { code: "internal", cause },
  );
}
