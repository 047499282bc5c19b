// The way out of a connection: `writable`, and the short way past it.

import { ConnectionClosedError } from "../duplex.ts";
import { describe } from "../_async/check.ts";
import type { RawSink } from "../_async/raw_io.ts";
import { yieldTurn } from "../_async/turn.ts";
import type { ByteIo, ByteOwner } from "./byte_io.ts";
import { directWritable } from "./direct_writable.ts";

/** The default of `ByteStreamOptions.highWaterMark`, in bytes. */
const HIGH_WATER_MARK = 64 * 1024;
/** After so much direct writing the event loop has its turn: 1 ms or so. */
const TURN = 1024;
/** So many bytes take as long again as a write of few. */
const STEP = 4096;

/**
 * Work that `writable` takes in place of a chunk: it runs when its turn comes,
 * and what follows waits for it. What it throws breaks the connection.
 */
export class SinkTask {
  constructor(
    /** `progress` tells of bytes that moved, for the timers. */
    readonly run: (io: ByteIo, progress: () => void) => Promise<void>,
  ) {}
}

/** What the end of the bytes means to the connection. */
export interface ByteSinkOptions {
  highWaterMark?: number;
  /** Half-closes. */
  onClose(): Promise<void>;
}

/** Writes what a stream takes, one chunk at a time. */
export class ByteSink {
  readonly stream: WritableStream<Uint8Array>;

  #owner: ByteOwner;
  #controller!: WritableStreamDefaultController;
  /** The last write of the raw sink, while it is under way. */
  #rawWrite: Promise<void> | undefined;
  /** How much was written directly since the event loop had its turn. */
  #sinceTurn = 0;
  /** Chunks that `writable` took and the transport has not. */
  #unsent = 0;
  #drained: (() => void) | undefined;
  #ended = false;

  constructor(owner: ByteOwner, options: ByteSinkOptions) {
    const { highWaterMark = HIGH_WATER_MARK, onClose } = options;
    this.#owner = owner;
    this.stream = directWritable({
      start: (controller) => {
        this.#controller = controller;
      },
      write: (chunk) => this.#write(chunk),
      close: onClose,
      abort: (reason) => owner.fail(reason ?? closedHere(owner.peer())),
    }, {
      highWaterMark,
      size: (chunk) => this.#sizeOf(chunk, highWaterMark),
    }, owner.io.tryWrite && ((chunk) => this.#writeDirectly(chunk)));
  }

  /** Whether nothing goes out any more. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether all that was written is with the transport, and more may go out. */
  get isDrained(): boolean {
    return this.#unsent === 0 && !this.#ended;
  }

  #sizeOf(chunk: unknown, highWaterMark: number): number {
    if (chunk instanceof Uint8Array) {
      this.#unsent++;
      return chunk.byteLength;
    }
    if (chunk instanceof SinkTask) {
      this.#unsent++;
      return highWaterMark;
    }
    const error = new TypeError(
      `Cannot write to ${this.#owner.peer()}: expected a Uint8Array, ` +
        `received ${describe(chunk)}`,
    );
    // It breaks the stream: what was queued before never goes out.
    this.#owner.fail(error);
    throw error;
  }

  #writeDirectly(chunk: Uint8Array): number {
    if (this.#sinceTurn > TURN) return 0;
    this.#sinceTurn += 1 + chunk.byteLength / STEP;
    return this.#writeNow(chunk);
  }

  /** Writes what could not go directly, after a turn where that is due. */
  #write(chunk: Uint8Array | SinkTask): Promise<void> {
    const turn = this.#sinceTurn > TURN ? yieldTurn() : undefined;
    this.#sinceTurn = 0;
    return this.#writeAll(chunk, turn);
  }

  #onError = (error: unknown): never => {
    this.#owner.lose("write to", error);
    this.#sent();
    throw this.#owner.reason() ?? closedHere(this.#owner.peer());
  };

  /** Writes what counts as one of the `#unsent`, after what is `before` it. */
  async #writeAll(
    chunk: Uint8Array | SinkTask,
    before?: Promise<void>,
  ): Promise<void> {
    const { io, progress } = this.#owner;
    try {
      if (before !== undefined) await before;
      if (chunk instanceof SinkTask) await chunk.run(io, progress);
      else {
        for (let at = 0; at < chunk.byteLength;) {
          at += await io.write(at === 0 ? chunk : chunk.subarray(at));
          progress();
        }
      }
    } catch (error) {
      return this.#onError(error);
    }
    this.#sent();
  }

  #sent(): void {
    if (--this.#unsent === 0) this.#drained?.();
  }

  /** The short way past the stream, of which the caller holds the lock. */
  openRaw(): RawSink | undefined {
    // What an earlier writer left in the stream comes first.
    if (this.#unsent > 0 || this.#ended) return undefined;
    const { io } = this.#owner;
    return {
      tryWrite: io.tryWrite && ((bytes) => this.#tryWriteRaw(bytes)),
      write: (bytes) => this.#writeRaw(bytes),
      onePiece: io.onePiece,
    };
  }

  /**
   * One answer to each read goes by a call, where that costs a wake-up. All else
   * goes by the event loop: while it does, what follows collects.
   */
  #tryWriteRaw(bytes: Uint8Array): number {
    const owner = this.#owner;
    if (owner.io.callsSystem) {
      if (!owner.mayAnswer) return 0;
      owner.mayAnswer = false;
    }
    return this.#writeNow(bytes);
  }

  /** Takes what there is room for, where nothing waits to go before it. */
  #writeNow(bytes: Uint8Array): number {
    if (this.#ended || this.#unsent > 0) return 0;
    try {
      const count = this.#owner.io.tryWrite!(bytes);
      if (count > 0) this.#owner.progress();
      return count;
    } catch { // `write` meets it again, and tells
      return 0;
    }
  }

  #writeRaw(bytes: Uint8Array): Promise<void> {
    if (this.#ended) {
      return Promise.reject(
        this.#owner.reason() ?? closedHere(this.#owner.peer()),
      );
    }
    this.#unsent++;
    const writing = this.#writeAll(bytes, this.#rawWrite);
    this.#rawWrite = writing;
    const done = () => {
      if (this.#rawWrite === writing) this.#rawWrite = undefined;
    };
    writing.then(done, done);
    return writing;
  }

  /** Waits until the transport has all that was written, or nothing goes out. */
  async drain(): Promise<void> {
    if (this.#unsent === 0 || this.#ended) return;
    await new Promise<void>((resolve) => this.#drained = resolve);
  }

  /** Nothing goes out any more; `drain` waits no longer. */
  end(): void {
    this.#ended = true;
    this.#drained?.(); // also chunks that were refused count as unsent
  }

  /** Breaks the stream. */
  error(reason: unknown): void {
    this.#controller.error(reason);
  }
}

/** What who still uses a closed connection is told. */
export function closedHere(peer: string): ConnectionClosedError {
  return new ConnectionClosedError(
    `Cannot use the connection to ${peer}: it was closed on this side`,
    { code: "closed" },
  );
}
