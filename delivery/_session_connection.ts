// A stream of bytes over a session.

import { type Connection, ConnectionClosedError } from "../duplex.ts";
import { describe } from "../_async/check.ts";
import { isCleanEnd } from "../framing/_channel_errors.ts";
import type { Session } from "./_session.ts";

/** The longest piece that goes as one message, in bytes. */
const PIECE = 64 * 1024;

/** The {@linkcode Connection} that a session of bytes is. */
export class SessionConnection implements Connection {
  readonly local: string;
  readonly remote: string;
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly closed: Promise<void>;
  #session: Session<Uint8Array, Uint8Array>;
  #source!: ReadableByteStreamController;
  #sink!: WritableStreamDefaultController;
  /** Writes that `writable` took and the session has not. */
  #unsent = 0;
  #drained: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  constructor(
    session: Session<Uint8Array, Uint8Array>,
    local: string,
    remote: string,
  ) {
    this.#session = session;
    this.local = local;
    this.remote = remote;
    this.closed = session.closed;
    this.readable = this.#createReadable();
    this.writable = this.#createWritable();
    session.closed.then(
      () => this.#end(closedHere()),
      (error) => this.#end(error),
    );
  }

  #createReadable(): ReadableStream<Uint8Array> {
    return new ReadableStream({
      type: "bytes",
      start: (controller) => {
        this.#source = controller;
      },
      pull: async (controller) => {
        try {
          const message = await this.#session.receive();
          // A stream of bytes takes the whole buffer, which others are in.
          controller.enqueue(message.slice() as Uint8Array<ArrayBuffer>);
        } catch (error) {
          if (isCleanEnd(error)) this.#closeSource();
          else controller.error(error);
        }
      },
      cancel: () => this.#session.incoming.stop(closedHere()),
      // As a socket's: what is in here has arrived, and the peer may close.
    }, { highWaterMark: PIECE });
  }

  #createWritable(): WritableStream<Uint8Array> {
    return new WritableStream<Uint8Array>({
      start: (controller) => {
        this.#sink = controller;
      },
      write: async (chunk) => {
        try {
          for (let at = 0; at < chunk.length; at += PIECE) {
            await this.#session.outgoing.accept(chunk.subarray(at, at + PIECE));
          }
        } catch (error) {
          throw this.#session.end.isOver
            ? await this.closed.then(closedHere, (reason) => reason)
            : error;
        } finally {
          if (--this.#unsent === 0) this.#drained?.();
        }
      },
      close: () => this.#session.end.endSending(),
      abort: (reason) => this.abort(reason),
    }, {
      highWaterMark: PIECE,
      size: (chunk) => {
        if (!(chunk instanceof Uint8Array)) {
          throw new TypeError(
            `Cannot write to ${this.remote}: expected a Uint8Array, ` +
              `received ${describe(chunk)}`,
          );
        }
        this.#unsent++;
        return chunk.byteLength;
      },
    });
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    if (this.#unsent > 0 && !this.#session.end.isOver) {
      await new Promise<void>((resolve) => this.#drained = resolve);
    }
    await this.#session.close();
  }

  abort(reason?: unknown): void {
    this.#session.abort(reason);
  }

  #closeSource(): void {
    try {
      this.#source.close();
      this.#source.byobRequest?.respond(0);
    } catch { // closed or cancelled before
    }
  }

  #end(reason: unknown): void {
    this.#drained?.();
    this.#sink.error(reason);
    if (isCleanEnd(reason) && !this.#session.incoming.isEmpty) return;
    if (isCleanEnd(reason)) this.#closeSource();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function closedHere(): ConnectionClosedError {
  return new ConnectionClosedError(
    "Cannot use the connection: it was closed",
    { code: "closed" },
  );
}
