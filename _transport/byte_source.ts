// The way in of a connection: `readable`, and the short way past it.

import type { RawReader, RawSource } from "../_async/raw_io.ts";
import type { ByteOwner } from "./byte_io.ts";
import { ReadBuffer } from "./read_buffer.ts";

/** What the end of the bytes means to the connection. */
export interface ByteSourceEvents {
  /** The peer has sent its end. */
  onEnd(): void;
  /** Nobody reads any more. */
  onCancel(): Promise<void> | void;
}

/** Reads for a byte stream, one read at a time, only when asked to. */
export class ByteSource {
  readonly stream: ReadableStream<Uint8Array>;

  #owner: ByteOwner;
  #events: ByteSourceEvents;
  #controller!: ReadableByteStreamController;
  #buffer = new ReadBuffer();
  #reading = false;
  /** Whose buffer the read under way fills, if a reader has brought one. */
  #request: ReadableStreamBYOBRequest | undefined;
  /** Who waits in `RawSource.read`. */
  #rawReader: RawReader | undefined;
  #closed = false;
  #peerEnded = false;

  constructor(owner: ByteOwner, events: ByteSourceEvents) {
    this.#owner = owner;
    this.#events = events;
    this.stream = new ReadableStream({
      type: "bytes",
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#pull(),
      cancel: () => {
        this.#closed = true;
        this.#settleRawReader();
        return this.#events.onCancel();
      },
    }, { highWaterMark: 0 });
  }

  /** Whether nobody reads from it any more, or nothing is left to read. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether the peer has sent its end. */
  get peerEnded(): boolean {
    return this.#peerEnded;
  }

  /** Whether the stream holds nothing, and asks the transport for nothing. */
  get isUntouched(): boolean {
    return !this.#reading && this.#controller.desiredSize === 0;
  }

  /**
   * Starts a read and returns: a promise would make the stream wait once more
   * for each chunk. What the read brings answers the calls meanwhile too.
   */
  #pull(): void {
    if (this.#reading) return;
    const { io } = this.#owner;
    this.#reading = true;
    const request = this.#controller.byobRequest;
    if (request === null && io.readChunk !== undefined) {
      io.readChunk().then(this.#onChunk, this.#onError);
      return;
    }
    this.#request = request ?? undefined;
    const into = request === null
      ? this.#buffer.space
      : request.view as Uint8Array;
    try {
      const count = io.tryRead?.(into);
      if (count) return this.#onRead(count);
    } catch (error) {
      return this.#onError(error);
    }
    io.read(into).then(this.#onRead, this.#onError);
  }

  #onRead = (count: number | null): void => {
    const request = this.#request;
    this.#reading = false; // the answer may lead to the next read at once
    this.#request = undefined;
    if (this.#closed) return;
    if (count === null) return this.#end();
    this.#owner.progress();
    try {
      if (request !== undefined) request.respond(count);
      else this.#controller.enqueue(this.#buffer.take(count));
    } catch (error) {
      this.#onError(error);
    }
  };

  #onChunk = (chunk: Uint8Array<ArrayBuffer> | null): void => {
    this.#reading = false;
    if (this.#closed) return;
    if (chunk === null) return this.#end();
    this.#owner.progress();
    try {
      this.#controller.enqueue(chunk);
    } catch (error) {
      this.#onError(error);
    }
  };

  #onError = (error: unknown): void => {
    this.#reading = false;
    this.#request = undefined;
    this.#owner.lose("read from", error);
  };

  #end(): void {
    this.#peerEnded = true;
    this.close();
    this.#events.onEnd();
  }

  /** The short way past the stream, of which the caller holds the lock. */
  openRaw(): RawSource | undefined {
    // What an earlier reader left in the stream comes first.
    if (!this.isUntouched) return undefined;
    const { io } = this.#owner;
    return {
      tryRead: io.tryRead && ((into) => this.#tryReadRaw(into)),
      read: (into, reader) => this.#readRaw(into, reader),
    };
  }

  #tryReadRaw(into: Uint8Array): number {
    if (this.#closed) return 0;
    try {
      const count = this.#owner.io.tryRead!(into);
      if (count > 0) this.#owner.progress();
      return count;
    } catch { // `read` meets it again, and tells
      return 0;
    }
  }

  #readRaw(into: Uint8Array, reader: RawReader): void {
    this.#rawReader = reader;
    this.#owner.mayAnswer = true;
    if (this.#closed) this.#settleRawReader();
    else this.#owner.io.read(into).then(this.#onRawRead, this.#onRawReadError);
  }

  #onRawRead = (count: number | null): void => {
    const reader = this.#rawReader;
    if (reader === undefined) return; // the stream has ended meanwhile
    if (count === null) return this.#end();
    this.#rawReader = undefined;
    this.#owner.progress();
    reader.onCount(count);
  };

  #onRawReadError = (error: unknown): void => {
    if (this.#rawReader !== undefined) this.#owner.lose("read from", error);
  };

  /** As the end or the error of the stream does with who reads that. */
  #settleRawReader(): void {
    const reader = this.#rawReader;
    if (reader === undefined) return;
    this.#rawReader = undefined;
    const reason = this.#owner.reason();
    queueMicrotask(() => {
      if (reason === undefined) reader.onCount(null);
      else reader.onError(reason);
    });
  }

  /** The clean end. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#controller.close();
      this.#controller.byobRequest?.respond(0);
    } catch { // closed or cancelled before
    }
    this.#settleRawReader();
  }

  /** Breaks the stream with the owner's reason. */
  error(): void {
    this.#closed = true;
    this.#controller.error(this.#owner.reason());
    this.#settleRawReader();
  }
}
