// One Connection for every transport that reads and writes bytes: its life, from
// the first byte to the end of both ways.

import type { Connection } from "../duplex.ts";
import { ConnectionClosedError } from "../duplex.ts";
import { offerRawIo } from "../_async/raw_io.ts";
import { MAX_TIMER, timeoutError } from "../_async/wait.ts";
import type { ByteIo, ByteOwner } from "./byte_io.ts";
import { ByteSink, closedHere } from "./byte_sink.ts";
import { ByteSource } from "./byte_source.ts";
import type { ByteStreamOptions } from "./options.ts";

export type { ByteIo } from "./byte_io.ts";
export { SinkTask } from "./byte_sink.ts";

/** What differs between transports. */
export interface ByteConnectionOptions extends ByteStreamOptions {
  local: string;
  remote: string;
  /** How long `close` goes on reading, so that TCP sends no reset, in ms. */
  lingerTimeout?: number;
}

/** The default of {@linkcode ByteStreamOptions.closeTimeout}. */
const CLOSE_TIMEOUT = 5_000;
/** What a read takes whose bytes nobody wants. */
const SCRATCH_SIZE = 64 * 1024;

/** A {@linkcode Connection} over a {@linkcode ByteIo}. */
export class ByteConnection implements Connection {
  readonly local: string;
  readonly remote: string;
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly closed: Promise<void>;

  #io: ByteIo;
  #options: ByteConnectionOptions;
  #source: ByteSource;
  #sink: ByteSink;
  #done = Promise.withResolvers<void>();
  #writeDone = Promise.withResolvers<void>();
  #freed = false;
  /** What `close` of the transport still does. */
  #freeing: Promise<void> | void = undefined;
  /** What broke it, where it did not end in order. */
  #reason: unknown;
  #closing: Promise<void> | undefined;
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
    const owner: ByteOwner = {
      io,
      mayAnswer: false,
      peer: () => this.#peer,
      reason: () => this.#reason,
      progress: this.progress,
      lose: (what: string, cause: unknown) => this.#lose(what, cause),
      fail: (reason: unknown) => this.#fail(reason),
    };
    this.#source = new ByteSource(owner, {
      onEnd: () => {
        if (this.#sink.ended) this.#finish();
      },
      onCancel: () => {
        if (this.#sink.ended) return this.#endBoth();
      },
    });
    this.#sink = new ByteSink(owner, {
      highWaterMark: options.highWaterMark,
      onClose: () => this.#endWrite(),
    });
    this.readable = this.#source.stream;
    this.writable = this.#sink.stream;
    offerRawIo(this, () => ({
      source: this.#source.openRaw(),
      sink: this.#sink.openRaw(),
    }));
    this.#watchIdle();
  }

  /** Tells that bytes moved by another way than the streams. */
  readonly progress = (): void => {
    this.#progress++;
  };

  /** Whether what the peer sends is all in the kernel still: none was read. */
  get inputIsUntouched(): boolean {
    return !this.#source.closed && !this.#io.readsAhead &&
      this.#source.isUntouched;
  }

  /** Whether all that was written is in the kernel, and more may follow. */
  get outputIsSent(): boolean {
    return this.#sink.isDrained;
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    const watch = this.#watchClose();
    try {
      if (!this.#sink.ended) {
        if (!this.writable.locked) {
          await this.writable.close().catch(() => {}); // `closed` has the cause
        } else {
          await this.#sink.drain();
          if (!this.#sink.ended) {
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

  /** Both ways are over for this side; the peer may still be sending. */
  async #endBoth(): Promise<void> {
    await this.#linger();
    this.#finish();
  }

  /** Half-closes. */
  async #endWrite(): Promise<void> {
    if (this.#sink.ended) return;
    this.#sink.end();
    try {
      await this.#io.closeWrite();
    } catch (error) {
      // The peer may be gone already: nothing was lost that it would read.
      if (!(error instanceof Deno.errors.NotConnected)) {
        this.#lose("close the connection to", error);
      }
    }
    this.#writeDone.resolve();
    if (this.#source.closed) await this.#endBoth();
  }

  /** Reads what is still on its way: closing over unread bytes is a reset. */
  async #linger(): Promise<void> {
    const timeout = this.#options.lingerTimeout ?? 0;
    if (timeout === 0 || this.#source.peerEnded || this.#freed) return;
    this.#source.close();
    const timer = setTimeout(
      () => this.#finish(),
      Math.min(timeout, MAX_TIMER),
    );
    const scratch = new Uint8Array(SCRATCH_SIZE);
    try {
      while (!this.#freed && await this.#io.read(scratch) !== null);
    } catch { // freed, or reset by the peer: there is nothing left to lose
    } finally {
      clearTimeout(timer);
    }
  }

  /** The clean end. */
  #finish(): void {
    if (!this.#free()) return;
    this.#source.close();
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
    this.#source.error();
    this.#sink.error(reason);
    this.#done.reject(reason);
  }

  #free(): boolean {
    if (this.#freed) return false;
    this.#freed = true;
    if (this.#idleTimer !== undefined) clearInterval(this.#idleTimer);
    this.#sink.end();
    try {
      this.#freeing = this.#io.close();
    } catch { // closed by its owner
    }
    this.#writeDone.resolve();
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
