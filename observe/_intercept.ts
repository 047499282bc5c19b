// Streams that pass everything through and tell an observer what passes.

import {
  type Connection,
  ConnectionClosedError,
  type Duplex,
} from "../duplex.ts";
import { checkDuplex } from "../_async/check.ts";

/** Which way bytes go, seen from the side that observes. */
export type Direction = "sent" | "received";

/** What is told. Nothing here may throw or keep a chunk: it is not a copy. */
export interface Observer {
  /** A chunk is about to be handed on. */
  passed(chunk: Uint8Array, direction: Direction): void;
  /** `writable` took a chunk of so many bytes. */
  queued?(length: number): void;
  /** The transport took a chunk of so many bytes, or lost it. */
  taken?(length: number): void;
  /** A direction ended in order; `isCut` if this side reads no further. */
  ended(direction: Direction, isCut: boolean): void;
  /** A direction broke. */
  failed(error: unknown, direction: Direction): void;
  /** Nothing more follows. */
  closed(): void;
}

/** A duplex that passes on what `duplex` does; a connection stays one. */
export function intercept(duplex: Duplex, observer: Observer): Duplex {
  checkDuplex(duplex);
  const streams = new Streams(duplex, observer);
  return isConnection(duplex)
    ? new InterceptedConnection(duplex, streams)
    : { readable: streams.readable, writable: streams.writable };
}

/** Whether the duplex has the end that a connection has. */
export function isConnection(duplex: Duplex): duplex is Connection {
  const { abort, closed } = duplex as Partial<Connection>;
  return typeof abort === "function" && closed instanceof Promise;
}

class Streams {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  #observer: Observer;
  #reader: ReadableStreamDefaultReader<Uint8Array>;
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  #sink!: WritableStreamDefaultController;
  #open = new Set<Direction>(["sent", "received"]);
  /** Chunks that `writable` took and that were not handed on yet. */
  #waiting = 0;
  #handedOver: (() => void) | undefined;
  /** Whether chunks are handed on without waiting for the transport. */
  #hurried = false;
  #letGo: (() => void) | undefined;

  constructor(duplex: Duplex, observer: Observer) {
    this.#observer = observer;
    const bytes = isByteStream(duplex.readable);
    this.#reader = duplex.readable.getReader();
    try {
      this.#writer = duplex.writable.getWriter();
    } catch (error) {
      this.#reader.releaseLock();
      throw error;
    }
    this.readable = bytes ? this.#readBytes() : this.#readChunks();
    this.writable = this.#createWritable();
  }

  #readBytes(): ReadableStream<Uint8Array> {
    return new ReadableStream({
      type: "bytes",
      start: (controller) => this.#watchReader(controller),
      pull: async (controller) => {
        const chunk = await this.#read();
        if (chunk !== undefined) {
          // Also fills the view of a BYOB reader, and keeps what is left over.
          return controller.enqueue(chunk as Uint8Array<ArrayBuffer>);
        }
        controller.close();
        controller.byobRequest?.respond(0);
      },
      cancel: (reason) => this.#cancel(reason),
    }, { highWaterMark: 0 });
  }

  #readChunks(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>({
      start: (controller) => this.#watchReader(controller),
      pull: async (controller) => {
        const chunk = await this.#read();
        if (chunk !== undefined) controller.enqueue(chunk);
        else controller.close();
      },
      cancel: (reason) => this.#cancel(reason),
    }, { highWaterMark: 0 });
  }

  #watchReader(controller: { error(reason: unknown): void }): void {
    this.#reader.closed.catch((error) => {
      controller.error(error);
      this.#fail(error, "received");
    });
  }

  async #read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const { value, done } = await this.#reader.read();
      if (done) {
        this.#end("received");
        return undefined;
      }
      if (value.byteLength === 0) continue; // a byte stream can't hold it
      this.#observer.passed(value, "received");
      return value;
    }
  }

  #cancel(reason: unknown): Promise<void> {
    this.#end("received", true);
    return this.#reader.cancel(reason);
  }

  #createWritable(): WritableStream<Uint8Array> {
    return new WritableStream<Uint8Array>({
      start: (controller) => {
        this.#sink = controller;
        this.#writer.closed.catch((error) => {
          controller.error(error);
          this.#fail(error, "sent");
          this.#handedOver?.();
        });
      },
      write: (chunk) => this.#write(chunk),
      close: () => {
        if (this.#hurried) return; // whoever hurries closes the inner one
        this.#end("sent");
        return this.#writer.close();
      },
      abort: (reason) => {
        this.#fail(reason, "sent");
        this.#handedOver?.();
        return this.#writer.abort(reason);
      },
    }, {
      // What the inner one would queue before it asks to wait.
      highWaterMark: Math.max(0, this.#writer.desiredSize ?? 0),
      size: (chunk) => {
        this.#waiting++;
        if (!(chunk instanceof Uint8Array)) return 0; // the inner one refuses it
        this.#observer.queued?.(chunk.byteLength);
        return chunk.byteLength;
      },
    });
  }

  #write(chunk: Uint8Array): Promise<void> {
    if (--this.#waiting === 0) this.#handedOver?.();
    if (!(chunk instanceof Uint8Array)) return this.#writer.write(chunk);
    const length = chunk.byteLength;
    this.#observer.passed(chunk, "sent");
    const writing = this.#writer.write(chunk);
    return new Promise((resolve, reject) => {
      this.#letGo = resolve;
      writing.then(() => {
        this.#observer.taken?.(length);
        resolve();
      }, (error) => {
        this.#observer.taken?.(length);
        reject(error);
      });
      if (this.#hurried) resolve();
    });
  }

  /**
   * Hands everything on without waiting for the transport, then lets go of the
   * inner `writable`: its own close bounds what follows.
   */
  async release(): Promise<void> {
    this.#hurried = true;
    this.#letGo?.();
    if (this.#waiting > 0 && this.#open.has("sent")) {
      await new Promise<void>((resolve) => this.#handedOver = resolve);
    }
    this.#sink.error(
      new ConnectionClosedError("Cannot write: the connection was closed", {
        code: "closed",
      }),
    );
    this.#end("sent");
    this.#writer.releaseLock();
  }

  /** Nothing passes from here on. */
  finish(error?: unknown): void {
    for (const direction of this.#open) {
      if (error === undefined) this.#end(direction, direction === "received");
      else this.#fail(error, direction);
    }
  }

  #end(direction: Direction, isCut = false): void {
    if (!this.#open.delete(direction)) return;
    this.#observer.ended(direction, isCut);
    if (this.#open.size === 0) this.#observer.closed();
  }

  #fail(error: unknown, direction: Direction): void {
    if (!this.#open.delete(direction)) return;
    this.#observer.failed(error, direction);
    if (this.#open.size === 0) this.#observer.closed();
  }
}

class InterceptedConnection implements Connection {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly local: string;
  readonly remote: string;
  readonly closed: Promise<void>;
  #inner: Connection;
  #streams: Streams;
  #closing: Promise<void> | undefined;

  constructor(inner: Connection, streams: Streams) {
    this.#inner = inner;
    this.#streams = streams;
    this.readable = streams.readable;
    this.writable = streams.writable;
    this.local = inner.local;
    this.remote = inner.remote;
    this.closed = inner.closed;
    inner.closed.then(
      () => streams.finish(),
      (error) => streams.finish(error),
    );
  }

  close(): Promise<void> {
    return this.#closing ??= this.#streams.release()
      .then(() => this.#inner.close());
  }

  abort(reason?: unknown): void {
    this.#inner.abort(reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function isByteStream(stream: ReadableStream<Uint8Array>): boolean {
  try {
    stream.getReader({ mode: "byob" }).releaseLock();
    return true;
  } catch {
    return false;
  }
}
