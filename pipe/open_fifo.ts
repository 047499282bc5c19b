import type { WaitOptions } from "../duplex.ts";
import { checkOneOf, describe } from "../_async/check.ts";
import { deadline } from "../_async/wait.ts";
import { openEnd } from "../_libc/fifo.ts";
import { closeDescriptor } from "../_libc/pipe.ts";
import { ByteConnection, type ByteIo } from "../_transport/connection.ts";
import {
  type ByteStreamOptions,
  checkStreamOptions,
} from "../_transport/options.ts";
import { setEnds } from "./_ends.ts";
import { checkFifo, PIPE_BUF } from "./_fifo_path.ts";
import {
  openError,
  openForReading,
  openForReadingFromWriter,
  openForWriting,
} from "./_open_end.ts";
import { ReadEnd } from "./_read_end.ts";
import { WriteEnd } from "./_write_end.ts";

/** How long to wait unless the options say, in ms. */
const TIMEOUT = 10_000;

/** Options of {@linkcode openFifo}. */
export interface OpenFifoOptions extends WaitOptions, ByteStreamOptions {
  /**
   * The longest wait for the other end, in milliseconds. `Infinity` waits as
   * long as it takes.
   *
   * @default {10000}
   */
  timeout?: number;
}

/** Options of {@linkcode openFifo} for reading. */
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

/**
 * Opens an end of a FIFO and waits until the other end is open too, as open(2)
 * does, but without holding one of the runtime's 32 blocking threads: it looks
 * again after 1, 2, 4, at most 10 ms. Bytes then move in the event loop.
 *
 * Requires `--allow-ffi`, and `--allow-read` for the path.
 *
 * @param path The FIFO, made by {@linkcode mkfifo} or any program.
 * @param end Which end.
 * @param options What bounds the wait, and how the stream behaves.
 * @returns The open end.
 * @throws {Deno.errors.NotFound} If there is no such FIFO.
 * @throws {Deno.errors.InvalidData} If the path is no FIFO.
 * @throws {Deno.errors.PermissionDenied} If the file's mode forbids it.
 * @throws {DOMException} `TimeoutError`, if nobody opens the other end in time.
 * @throws {Deno.errors.NotCapable} Without `--allow-ffi`.
 * @throws {Deno.errors.NotSupported} On Windows.
 *
 * @example With a program that knows only files
 * ```ts
 * import { mkfifo, openFifo } from "@sluice/ipc/pipe";
 * import { assertEquals } from "@std/assert";
 *
 * using fifo = await mkfifo(`${await Deno.makeTempDir()}/greeting`);
 * const child = new Deno.Command("sh", {
 *   args: ["-c", 'echo hello > "$1"', "sh", fifo.path],
 * }).spawn();
 * await using reader = await openFifo(fifo.path, "read");
 * assertEquals(await new Response(reader.readable as BodyInit).text(), "hello\n");
 * await child.status;
 * ```
 */
export function openFifo(
  path: string,
  end: "read",
  options?: OpenFifoReadOptions,
): Promise<FifoReader>;
/**
 * Opens the writing end of a FIFO and waits until somebody reads.
 *
 * Requires `--allow-ffi`, and `--allow-read` for the path.
 *
 * @param path The FIFO, made by {@linkcode mkfifo} or any program.
 * @param end Which end.
 * @param options What bounds the wait, and how the stream behaves.
 * @returns The open end.
 * @throws {Deno.errors.NotFound} If there is no such FIFO.
 * @throws {Deno.errors.InvalidData} If the path is no FIFO.
 * @throws {Deno.errors.PermissionDenied} If the file's mode forbids it.
 * @throws {DOMException} `TimeoutError`, if nobody reads in time.
 * @throws {Deno.errors.NotCapable} Without `--allow-ffi`.
 * @throws {Deno.errors.NotSupported} On Windows.
 *
 * @example Whole lines from many writers
 * ```ts
 * import { mkfifo, openFifo } from "@sluice/ipc/pipe";
 *
 * using fifo = await mkfifo(`${await Deno.makeTempDir()}/log`);
 * await using log = await openFifo(fifo.path, "read", { keepOpen: true });
 * await using writer = await openFifo(fifo.path, "write");
 * await writer.writeAtomic("one line\n");
 * ```
 */
export function openFifo(
  path: string,
  end: "write",
  options?: OpenFifoOptions,
): Promise<FifoWriter>;
export async function openFifo(
  path: string,
  end: "read" | "write",
  options: OpenFifoReadOptions = {},
): Promise<FifoReader | FifoWriter> {
  checkOneOf("end", end, ["read", "write"]);
  checkFifo(`open the FIFO ${path}`, path);
  checkStreamOptions(options);
  return end === "read"
    ? await openReader(path, options)
    : await openWriter(path, options);
}

async function openReader(
  path: string,
  options: OpenFifoReadOptions,
): Promise<FifoReader> {
  const what = `Cannot open the FIFO ${path} for reading`;
  let fd: number;
  let first: Uint8Array | undefined;
  let keeper: number | undefined;
  if (options.keepOpen) {
    options.signal?.throwIfAborted();
    fd = openForReading(path, what);
    const opened = openEnd(path, "write"); // its own writer: there is no end
    if (typeof opened !== "number") {
      closeDescriptor(fd);
      throw openError(opened, `${what} with keepOpen`);
    }
    keeper = opened;
  } else {
    using end = deadline(`${what}: no process opened it for writing`, {
      signal: options.signal,
      timeout: options.timeout ?? TIMEOUT,
    });
    ({ fd, first } = await openForReadingFromWriter(path, what, end.signal));
  }
  const source = await ReadEnd.adopt(
    fd,
    `Cannot read from the FIFO ${path}`,
    first,
  );
  const connection = connect(path, options, {
    read: (into) => source.read(into),
    write: (bytes) => Promise.resolve(bytes.length),
    closeWrite() {},
    close() {
      source.close();
      if (keeper !== undefined) closeDescriptor(keeper);
    },
  });
  await connection.writable.close(); // there is no such direction
  const reader: FifoReader = {
    path,
    readable: connection.readable,
    closed: connection.closed,
    close: () => connection.close(),
    abort: (reason) => connection.abort(reason),
    [Symbol.asyncDispose]: () => connection.close(),
  };
  setEnds(reader, { own: () => [source.fd] });
  return reader;
}

async function openWriter(
  path: string,
  options: OpenFifoOptions,
): Promise<FifoWriter> {
  const what = `Cannot open the FIFO ${path} for writing`;
  using end = deadline(`${what}: no process has it open for reading`, {
    signal: options.signal,
    timeout: options.timeout ?? TIMEOUT,
  });
  const fd = await openForWriting(path, what, end.signal);
  const sink = new WriteEnd(fd, `Cannot write to the FIFO ${path}`);
  const connection = connect(path, options, {
    read: () => Promise.resolve(null),
    write: (bytes) => sink.write(bytes),
    closeWrite: () => sink.close(),
    close: () => sink.close(),
  });
  await connection.readable.cancel(); // there is no such direction
  const writer: FifoWriter = {
    path,
    writable: connection.writable,
    closed: connection.closed,
    async writeAtomic(message, wait) {
      const what = `Cannot write to the FIFO ${path}`;
      const bytes = typeof message === "string"
        ? new TextEncoder().encode(message)
        : message;
      if (!(bytes instanceof Uint8Array)) {
        throw new TypeError(
          `${what}: expected a Uint8Array or a string, received ` +
            describe(bytes),
        );
      }
      if (bytes.length > PIPE_BUF) {
        throw new RangeError(
          `${what}: a message of ${bytes.length} bytes exceeds the PIPE_BUF ` +
            `of ${PIPE_BUF}, use writable or send it in parts`,
        );
      }
      await sink.writeAtomic(bytes, what, {
        signal: wait?.signal,
        timeout: wait?.timeout ?? TIMEOUT,
      });
    },
    close: () => connection.close(),
    abort: (reason) => connection.abort(reason),
    [Symbol.asyncDispose]: () => connection.close(),
  };
  setEnds(writer, { own: () => [sink.fd] });
  return writer;
}

function connect(
  path: string,
  options: ByteStreamOptions,
  io: ByteIo,
): ByteConnection {
  const address = `fifo:${path}`;
  return new ByteConnection(io, {
    ...options,
    local: address,
    remote: address,
  });
}
