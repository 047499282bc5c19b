// The ends of a FIFO that `openFifo` gives out.

import { describe } from "../_async/check.ts";
import { deadline } from "../_async/wait.ts";
import { openEnd } from "../_libc/fifo.ts";
import { closeDescriptor } from "../_libc/pipe.ts";
import { ByteConnection, type ByteIo } from "../_transport/connection.ts";
import type { ByteStreamOptions } from "../_transport/options.ts";
import { setEnds } from "./_ends.ts";
import { PIPE_BUF } from "./_fifo_path.ts";
import {
  openError,
  openForReading,
  openForReadingFromWriter,
  openForWriting,
} from "./_open_end.ts";
import { ReadEnd } from "./_read_end.ts";
import { WriteEnd } from "./_write_end.ts";
import type {
  FifoReader,
  FifoWriter,
  OpenFifoOptions,
  OpenFifoReadOptions,
} from "./fifo_types.ts";

/** How long to wait unless the options say, in ms. */
const TIMEOUT = 10_000;

/** Opens the reading end. */
export async function openReader(
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

/** Opens the writing end. */
export async function openWriter(
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
