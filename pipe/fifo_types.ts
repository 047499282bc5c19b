import type { WaitOptions } from "../duplex.ts";
import type { ByteStreamOptions } from "../_transport/options.ts";

/** Options of `openFifo`. */
export interface OpenFifoOptions extends WaitOptions, ByteStreamOptions {
  /**
   * The longest wait for the other end, in milliseconds. `Infinity` waits as
   * long as it takes.
   *
   * @default {10000}
   */
  timeout?: number;
}

/** Options of `openFifo` for reading. */
export interface OpenFifoReadOptions extends OpenFifoOptions {
  /**
   * Whether to go on when the last writer has left: for a collector whose
   * writers come and go. It opens without waiting for a writer, and `readable`
   * ends only when it is closed on this side.
   *
   * @default {false}
   */
  keepOpen?: boolean;
}

/** The reading end of a FIFO. */
export interface FifoReader extends AsyncDisposable {
  /** The path as it was given. */
  readonly path: string;
  /** The bytes that all writers send; it ends when the last one has left. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Resolves when the end is free; rejects with what broke it. */
  readonly closed: Promise<void>;
  /** Frees the end: writers get `BrokenPipe` if it was the last reader. */
  close(): Promise<void>;
  /** Frees the end now; `readable` fails with the reason. */
  abort(reason?: unknown): void;
}

/** The writing end of a FIFO. */
export interface FifoWriter extends AsyncDisposable {
  /** The path as it was given. */
  readonly path: string;
  /** Takes the bytes for whoever reads. */
  readonly writable: WritableStream<Uint8Array>;
  /** Resolves when the end is free; rejects with what broke it. */
  readonly closed: Promise<void>;
  /**
   * Writes a message so that it stays in one piece among those of other
   * writers, as POSIX promises up to `PIPE_BUF`: 4096 bytes on Linux, 512 on
   * macOS. It does not pass through `writable`, and waits for a chunk of it that
   * is under way.
   *
   * @param message At most `PIPE_BUF` bytes, or a string of that many in UTF-8.
   * @param options What bounds the wait for room: by default 10 seconds. Where
   * it ends the wait, nothing was written.
   * @returns Resolves when the kernel has the message.
   * @throws {RangeError} If the message is longer than `PIPE_BUF`.
   * @throws {Deno.errors.BrokenPipe} If nobody reads any more.
   * @throws {DOMException} `TimeoutError`, if the reader makes no room in time.
   */
  writeAtomic(
    message: Uint8Array | string,
    options?: WaitOptions,
  ): Promise<void>;
  /** Sends what was written, then frees the end. */
  close(): Promise<void>;
  /** Frees the end now. What was not sent yet is lost. */
  abort(reason?: unknown): void;
}
