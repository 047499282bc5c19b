// One Connection for every transport that reads and writes bytes.

import type { Connection } from "../duplex.ts";
import { ConnectionClosedError } from "../duplex.ts";
import { describe } from "../_async/check.ts";
import { offerRawIo, type RawIo } from "../_async/raw_io.ts";
import { MAX_TIMER, timeoutError } from "../_async/wait.ts";
import type { ByteStreamOptions } from "./options.ts";

/** What a transport brings: `Deno.Conn` fits as it is. */
export interface ByteIo {
  /** Fills the start of `into`; the count, or `null` at the end. */
  read(into: Uint8Array): Promise<number | null>;
  /** Like `read`, in a chunk of its own, where that saves a copy. */
  readChunk?(): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Takes some of `bytes`; the count. */
  write(bytes: Uint8Array): Promise<number>;
  /** As `read`, without waiting: 0 where nothing is here, also at the end. */
  tryRead?(into: Uint8Array): number;
  /** As `write`, without waiting: 0 where there is no room. */
  tryWrite?(bytes: Uint8Array): number;
  /** Tells the peer that no more follows. */
  closeWrite(): Promise<void> | void;
  /**
   * Frees everything now; what is pending rejects. A promise is waited for by
   * the connection's `close`.
   */
  close(): Promise<void> | void;
  /** Whether it reads more from the system than it was asked for. */
  readonly readsAhead?: boolean;
  /** As of a `RawSink`. */
  readonly onePiece?: number;
}

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

/** What differs between transports. */
export interface ByteConnectionOptions extends ByteStreamOptions {
  local: string;
  remote: string;
  /** How long `close` goes on reading, so that TCP sends no reset, in ms. */
  lingerTimeout?: number;
}

/** What the first reads take, in bytes, so that idle connections stay small. */
const FIRST_READ_SIZE = 1024;
/**
 * The most that one read of the default reader takes, in bytes: what a Unix
 * socket holds on Linux. At 64 KiB, half of the speed went into new buffers.
 */
const READ_SIZE = 256 * 1024;
/** Smaller chunks are copied, so that their buffer serves the next read. */
const MIN_HANDED_OVER = 16 * 1024;
/** Defaults of {@linkcode ByteStreamOptions}. */
const HIGH_WATER_MARK = 64 * 1024;
const CLOSE_TIMEOUT = 5_000;

/** A {@linkcode Connection} over a {@linkcode ByteIo}. */
export class ByteConnection implements Connection {
  readonly local: string;
  readonly remote: string;
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly closed: Promise<void>;

  #io: ByteIo;
  #options: ByteConnectionOptions;
  #done = Promise.withResolvers<void>();
  #writeDone = Promise.withResolvers<void>();
  #freed = false;
  /** What `close` of the transport still does. */
  #freeing: Promise<void> | void = undefined;
  /** What broke it, where it did not end in order. */
  #reason: unknown;
  #readEnded = false;
  /** The peer has sent its end; `#readEnded` may also mean that nobody reads. */
  #peerEnded = false;
  #writeEnded = false;
  #sourceClosed = false;
  #closing: Promise<void> | undefined;
  #source!: ReadableByteStreamController;
  /** `readable` reads from the transport. */
  #pulling = false;
  /** Who waits in `RawSource.read`. */
  #rawReader: PromiseWithResolvers<number | null> | undefined;
  /** The last write of the raw sink, while it is under way. */
  #rawWrite: Promise<void> | undefined;
  #sink!: WritableStreamDefaultController;
  /** Chunks that `writable` took and the transport has not. */
  #unsent = 0;
  #drained: (() => void) | undefined;
  /** Counts reads and writes, for the timers that watch them. */
  #progress = 0;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;

  /** What is under a connection, for who never touches its streams. */
  static ioOf(connection: Connection): ByteIo | undefined {
    return #io in connection ? connection.#io : undefined;
  }

  constructor(io: ByteIo, options: ByteConnectionOptions) {
    this.#io = io;
    this.#options = options;
    this.local = options.local;
    this.remote = options.remote;
    this.closed = this.#done.promise;
    this.closed.catch(() => {}); // nobody has to listen
    this.readable = this.#createReadable();
    this.writable = this.#createWritable();
    offerRawIo(this, () => this.#openRaw());
    this.#watchIdle();
  }

  /** The short way past the streams, of which the caller holds the locks. */
  #openRaw(): RawIo {
    const io = this.#io;
    // What an earlier reader or writer left in a stream comes first.
    const canRead = !this.#pulling && this.#source.desiredSize === 0;
    const canWrite = this.#unsent === 0 && !this.#writeEnded;
    return {
      source: canRead
        ? {
          tryRead: io.tryRead && ((into) => this.#tryReadRaw(into)),
          read: (into) => this.#readRaw(into),
        }
        : undefined,
      sink: canWrite
        ? {
          tryWrite: io.tryWrite && ((bytes) => this.#tryWriteRaw(bytes)),
          write: (bytes) => this.#writeRaw(bytes),
          onePiece: io.onePiece,
        }
        : undefined,
    };
  }

  #tryReadRaw(into: Uint8Array): number {
    if (this.#sourceClosed) return 0;
    try {
      const count = this.#io.tryRead!(into);
      if (count > 0) this.#progress++;
      return count;
    } catch { // `read` meets it again, and tells
      return 0;
    }
  }

  #readRaw(into: Uint8Array): Promise<number | null> {
    if (this.#sourceClosed) {
      return this.#reason === undefined
        ? Promise.resolve(null)
        : Promise.reject(this.#reason);
    }
    const reader = this.#rawReader = Promise.withResolvers<number | null>();
    this.#io.read(into).then(this.#onRawRead, this.#onRawReadError);
    return reader.promise;
  }

  #onRawRead = (count: number | null): void => {
    const reader = this.#rawReader;
    if (reader === undefined) return; // the stream has ended meanwhile
    if (count === null) return this.#endRead();
    this.#rawReader = undefined;
    this.#progress++;
    reader.resolve(count);
  };

  #onRawReadError = (error: unknown): void => {
    if (this.#rawReader !== undefined) this.#lose("read from", error);
  };

  #tryWriteRaw(bytes: Uint8Array): number {
    if (this.#writeEnded || this.#rawWrite !== undefined) return 0;
    try {
      const count = this.#io.tryWrite!(bytes);
      if (count > 0) this.#progress++;
      return count;
    } catch { // `write` meets it again, and tells
      return 0;
    }
  }

  #writeRaw(bytes: Uint8Array): Promise<void> {
    if (this.#writeEnded) {
      return Promise.reject(this.#reason ?? closedHere(this.#peer));
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

  #createReadable(): ReadableStream<Uint8Array> {
    let scratch: Uint8Array | undefined;
    let size = FIRST_READ_SIZE;
    return new ReadableStream({
      type: "bytes",
      start: (controller) => {
        this.#source = controller;
      },
      pull: async (controller) => {
        const request = controller.byobRequest;
        this.#pulling = true;
        try {
          if (request?.view) {
            const view = request.view as Uint8Array<ArrayBuffer>;
            const count = this.#io.tryRead?.(view) || await this.#io.read(view);
            if (this.#sourceClosed) return;
            if (count === null) this.#endRead();
            else {
              this.#progress++;
              request.respond(count);
            }
            return;
          }
          if (this.#io.readChunk) {
            const chunk = await this.#io.readChunk();
            if (this.#sourceClosed) return;
            if (chunk === null) return this.#endRead();
            this.#progress++;
            return controller.enqueue(chunk);
          }
          scratch ??= new Uint8Array(size);
          const count = this.#io.tryRead?.(scratch) ||
            await this.#io.read(scratch);
          if (this.#sourceClosed) return;
          if (count === null) return this.#endRead();
          this.#progress++;
          if (count >= MIN_HANDED_OVER && count >= size / 8) {
            // It goes over as it is: little else is kept alive with it.
            controller.enqueue(
              scratch.subarray(0, count) as Uint8Array<ArrayBuffer>,
            );
            scratch = undefined;
          } else controller.enqueue(scratch.slice(0, count));
          if (count === size && size < READ_SIZE) {
            size *= 4; // more was there: a busy connection soon has it all
            scratch = undefined;
          } else if (count < size / 16 && size > FIRST_READ_SIZE) {
            size /= 4; // an idle one gives it back
            scratch = undefined;
          }
        } catch (error) {
          this.#lose("read from", error);
        } finally {
          this.#pulling = false;
        }
      },
      cancel: () => {
        this.#sourceClosed = this.#readEnded = true;
        this.#settleRawReader();
        if (this.#writeEnded) return this.#endBoth();
      },
    }, { highWaterMark: 0 });
  }

  #createWritable(): WritableStream<Uint8Array> {
    return new WritableStream<Uint8Array>({
      start: (controller) => {
        this.#sink = controller;
      },
      write: (chunk) => this.#writeAll(chunk),
      close: () => this.#endWrite(),
      abort: (reason) => this.abort(reason),
    }, {
      highWaterMark: this.#options.highWaterMark ?? HIGH_WATER_MARK,
      size: (chunk) => {
        if (chunk instanceof SinkTask) {
          this.#unsent++;
          return this.#options.highWaterMark ?? HIGH_WATER_MARK;
        }
        if (!(chunk instanceof Uint8Array)) {
          const error = new TypeError(
            `Cannot write to ${this.#peer}: expected a Uint8Array, ` +
              `received ${describe(chunk)}`,
          );
          // It breaks the stream: what was queued before never goes out.
          this.#fail(error);
          throw error;
        }
        this.#unsent++;
        return chunk.byteLength;
      },
    });
  }

  /** Tells that bytes moved by another way than the streams. */
  readonly progress = (): void => {
    this.#progress++;
  };

  /** Whether what the peer sends is all in the kernel still: none was read. */
  get inputIsUntouched(): boolean {
    return !this.#pulling && !this.#readEnded && !this.#io.readsAhead &&
      this.#source.desiredSize === 0;
  }

  /** Writes one of the `#unsent`, after the one `before` it. */
  async #writeAll(
    chunk: Uint8Array | SinkTask,
    before?: Promise<void>,
  ): Promise<void> {
    try {
      if (before !== undefined) await before;
      if (chunk instanceof SinkTask) {
        return await chunk.run(this.#io, this.progress);
      }
      let count = chunk.byteLength === 0 ? 0 : await this.#io.write(chunk);
      this.#progress++;
      while (count < chunk.byteLength) {
        count += await this.#io.write(chunk.subarray(count));
        this.#progress++;
      }
    } catch (error) {
      this.#lose("write to", error);
      throw this.#reason ?? closedHere(this.#peer);
    } finally {
      if (--this.#unsent === 0) this.#drained?.();
    }
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    const watch = this.#watchClose();
    try {
      if (!this.#writeEnded) {
        if (!this.writable.locked) {
          await this.writable.close().catch(() => {}); // `closed` has the cause
        } else {
          if (this.#unsent > 0) {
            await new Promise<void>((resolve) => this.#drained = resolve);
          }
          if (!this.#freed && !this.#writeEnded) {
            this.#sink.error(closedHere(this.#peer));
            await this.#endWrite();
          }
        }
      }
      await this.#writeDone.promise;
      await this.#linger();
    } finally {
      clearInterval(watch);
      this.#finish();
      await this.#freeing;
    }
  }

  abort(reason?: unknown): void {
    this.#fail(reason ?? closedHere(this.#peer));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The peer's end of the stream. */
  #endRead(): void {
    this.#readEnded = this.#peerEnded = true;
    this.#closeSource();
    if (this.#writeEnded) this.#finish();
  }

  /** Both ways are over for this side; the peer may still be sending. */
  async #endBoth(): Promise<void> {
    await this.#linger();
    this.#finish();
  }

  /** Half-closes. */
  async #endWrite(): Promise<void> {
    if (this.#writeEnded) return;
    this.#writeEnded = true;
    this.#drained?.(); // also chunks that were refused count as unsent
    try {
      await this.#io.closeWrite();
    } catch (error) {
      // The peer may be gone already: nothing was lost that it would read.
      if (!(error instanceof Deno.errors.NotConnected)) {
        this.#lose("close the connection to", error);
      }
    }
    this.#writeDone.resolve();
    if (this.#readEnded) await this.#endBoth();
  }

  /** Reads what is still on its way: closing over unread bytes is a reset. */
  async #linger(): Promise<void> {
    const timeout = this.#options.lingerTimeout ?? 0;
    if (timeout === 0 || this.#peerEnded || this.#freed) return;
    this.#closeSource();
    const timer = setTimeout(
      () => this.#finish(),
      Math.min(timeout, MAX_TIMER),
    );
    const scratch = new Uint8Array(READ_SIZE);
    try {
      while (!this.#freed && await this.#io.read(scratch) !== null);
    } catch { // freed, or reset by the peer: there is nothing left to lose
    } finally {
      clearTimeout(timer);
    }
  }

  #closeSource(): void {
    if (this.#sourceClosed) return;
    this.#sourceClosed = true;
    try {
      this.#source.close();
      this.#source.byobRequest?.respond(0);
    } catch { // closed or cancelled before
    }
    this.#settleRawReader();
  }

  /** As the end or the error of the stream does with who reads that. */
  #settleRawReader(): void {
    const reader = this.#rawReader;
    this.#rawReader = undefined;
    if (this.#reason === undefined) reader?.resolve(null);
    else reader?.reject(this.#reason);
  }

  /** The clean end. */
  #finish(): void {
    if (!this.#free()) return;
    this.#closeSource();
    this.#sink.error(closedHere(this.#peer));
    this.#done.resolve();
  }

  /** The peer for error messages: a client of a path has no address. */
  get #peer(): string {
    return this.remote.endsWith(":") && this.local.length > this.remote.length
      ? `a client of ${this.local}`
      : this.remote;
  }

  #lose(what: string, cause: unknown): void {
    this.#fail(
      new ConnectionClosedError(
        `Cannot ${what} ${this.#peer}: the connection was lost${why(cause)}`,
        { code: "lost", cause },
      ),
    );
  }

  #fail(reason: unknown): void {
    if (!this.#free()) return;
    this.#reason = reason;
    this.#sourceClosed = true;
    this.#source.error(reason);
    this.#settleRawReader();
    this.#sink.error(reason);
    this.#done.reject(reason);
  }

  #free(): boolean {
    if (this.#freed) return false;
    this.#freed = true;
    this.#readEnded = this.#writeEnded = true;
    if (this.#idleTimer !== undefined) clearInterval(this.#idleTimer);
    try {
      this.#freeing = this.#io.close();
    } catch { // closed by its owner
    }
    this.#writeDone.resolve();
    this.#drained?.();
    return true;
  }

  #watchIdle(): void {
    const { idleTimeout } = this.#options;
    if (idleTimeout === undefined || idleTimeout > MAX_TIMER) return;
    this.#idleTimer = this.#watch(
      `No byte to or from ${this.#peer}`,
      idleTimeout,
    );
    Deno.unrefTimer(this.#idleTimer as unknown as number);
  }

  #watchClose(): ReturnType<typeof setInterval> | undefined {
    const timeout = this.#options.closeTimeout ?? CLOSE_TIMEOUT;
    if (timeout > MAX_TIMER) return undefined;
    return this.#watch(`Cannot close the connection to ${this.#peer}`, timeout);
  }

  /** Aborts after a whole period in which no byte went either way. */
  #watch(what: string, timeout: number): ReturnType<typeof setInterval> {
    let seen = this.#progress;
    return setInterval(() => {
      if (seen === this.#progress) this.abort(timeoutError(what, timeout));
      seen = this.#progress;
    }, timeout);
  }
}

function why(cause: unknown): string {
  if (!(cause instanceof Error)) return "";
  const { command } = cause as { command?: string }; // known: the address has it
  return ` (${cause.message.replace(`Cannot read from ${command}: `, "")})`;
}

function closedHere(remote: string): ConnectionClosedError {
  return new ConnectionClosedError(
    `Cannot use the connection to ${remote}: it was closed on this side`,
    { code: "closed" },
  );
}
