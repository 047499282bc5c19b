import type { Duplex } from "../duplex.ts";
import { checkInteger } from "../_async/check.ts";
import { within } from "../_async/wait.ts";
import { ByteConnection, type ByteIo } from "./connection.ts";
import { FileRange, type FileRangeOptions } from "./file_range.ts";
import { openSource, type Source } from "./file_source.ts";
import {
  checkUnlocked,
  type Out,
  rawDescriptor,
  runInTurn,
  writeAll,
} from "./raw.ts";

/** Options of {@linkcode sendFile}. */
export interface SendFileOptions {
  /**
   * Where in the file to begin, in bytes. The file's own position neither
   * counts nor moves.
   *
   * @default {0}
   */
  offset?: number;
  /** How many bytes to send. Without it, all to the end of the file. */
  length?: number;
  /**
   * Ends the wait: it rejects with the signal's reason. What was sent stays
   * sent, so the peer may hold a part of the file: abort the connection unless
   * your protocol can tell.
   */
  signal?: AbortSignal;
  /**
   * Told how many bytes were sent so far, of how many (`Infinity` for a pipe or
   * a device), after each piece of at most 4 MiB. Sent is what this system took:
   * the peer may have less. What it throws is dropped.
   */
  onProgress?: (sent: number, total: number) => void;
}

/** What {@linkcode sendFile} did. */
export interface SendFileResult {
  /** How many bytes were sent. */
  readonly bytes: number;
  /** Whether the kernel moved them, or they were copied through this process. */
  readonly zeroCopy: boolean;
}

/**
 * Sends a file, or a part of it, in its turn after what was written to the
 * connection before. What is written meanwhile follows the file.
 *
 * On Linux, with `--allow-ffi`, over TCP and Unix sockets, the kernel moves the
 * bytes from its page cache to the socket (sendfile(2)) and they never enter
 * this process. Elsewhere, over TLS and shared memory, for what is no regular
 * file, and for less than 32 KiB, they are read and written.
 *
 * Requires `--allow-read` for a path, and `--allow-ffi` for zero copy.
 *
 * @param connection Where to send it: a connection, or any
 * {@linkcode Duplex}. Its `writable` may not be locked.
 * @param file A path, or an open file, which stays open.
 * @param options Which part, and a signal.
 * @returns How many bytes were sent, and how.
 * @throws {RangeError} If `offset` or `length` is negative, or the file ends
 * before the part does. Nothing was sent then.
 * @throws {Deno.errors.UnexpectedEof} If the file was cut off meanwhile. A part
 * of it was sent, and the connection is still open.
 * @throws {Deno.errors.NotFound} If there is no file at the path.
 * @throws {Deno.errors.IsADirectory} If it is a directory.
 * @throws {Deno.errors.NotCapable} Without `--allow-read` for the path.
 * @throws {TypeError} If the connection's `writable` is locked.
 * @throws {ConnectionClosedError} If the connection is closed, or the peer goes
 * away before it has all.
 *
 * @example A part of a file after a header
 * ```ts
 * import { connectTcp, listenTcp, sendFile } from "@sluice/ipc/tcp";
 * import { assertEquals } from "@std/assert";
 *
 * const path = await Deno.makeTempFile();
 * await Deno.writeTextFile(path, "0123456789");
 *
 * await using listener = await listenTcp();
 * await using client = await connectTcp(listener);
 * await using server = await listener.accept();
 *
 * const writer = server.writable.getWriter();
 * await writer.write(new TextEncoder().encode("length: 4\n"));
 * writer.releaseLock();
 * await sendFile(server, path, { offset: 3, length: 4 });
 * await server.writable.close();
 *
 * const text = await new Response(client.readable as BodyInit).text();
 * assertEquals(text, "length: 4\n3456");
 * ```
 */
export async function sendFile(
  connection: Pick<Duplex, "writable">,
  file: string | URL | Deno.FsFile,
  options: SendFileOptions = {},
): Promise<SendFileResult> {
  const { offset = 0, length, signal, onProgress } = options;
  checkInteger("offset", offset, 0);
  if (length !== undefined) checkInteger("length", length, 0);
  signal?.throwIfAborted();
  const what = `Cannot send ${nameOf(file)}`;
  checkUnlocked(connection, what);
  const opening = openSource(file);
  // The work ends by itself soon after the signal, and then frees the source.
  const part = { offset, length, signal, onProgress };
  const work = run(connection, opening, what, part).finally(() =>
    opening.then((source) => source.close(), () => {}) // told before
  );
  return await within(work, what, { signal });
}

/** Takes its turn at once: what is written while the file opens comes after. */
async function run(
  connection: Pick<Duplex, "writable">,
  opening: Promise<Source>,
  what: string,
  part: FileRangeOptions,
): Promise<SendFileResult> {
  const open = async () =>
    new FileRange(await within(opening, what, { signal: part.signal }), part);
  if (!(connection instanceof ByteConnection)) {
    await using writer = new LockedWriter(connection.writable);
    const range = await open();
    await range.copyTo(writer);
    return range.result();
  }
  let range: FileRange | undefined;
  let failure: { error: unknown } | undefined;
  await runInTurn(connection, what, async (io, progress) => {
    const out = watched(io, progress);
    try {
      range = await open();
      const socket = range.worthMoving ? rawDescriptor(connection) : undefined;
      if (socket !== undefined) await range.moveTo(socket, out);
      await range.copyTo(out);
    } catch (error) {
      if (out.failed) throw error; // the connection's: it is lost
      failure = { error };
    }
  });
  if (failure !== undefined) throw failure.error;
  return range!.result();
}

/** Remembers whether it was the connection that failed. */
function watched(io: ByteIo, progress: () => void): Out & { failed: boolean } {
  return {
    failed: false,
    keepsChunks: false,
    progress,
    async write(bytes) {
      try {
        await writeAll(io, bytes);
      } catch (error) {
        this.failed = true;
        throw error;
      }
      progress();
      return bytes.length;
    },
  };
}

/** A foreign stream, written to in order and at its pace. */
class LockedWriter implements Out, AsyncDisposable {
  readonly keepsChunks = true;
  #writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor(writable: WritableStream<Uint8Array>) {
    this.#writer = writable.getWriter();
  }

  async write(bytes: Uint8Array): Promise<number> {
    await this.#writer.ready;
    await this.#writer.write(bytes);
    return bytes.length;
  }

  progress(): void {}

  [Symbol.asyncDispose](): Promise<void> {
    this.#writer.releaseLock();
    return Promise.resolve();
  }
}

function nameOf(file: string | URL | Deno.FsFile): string {
  return file instanceof Deno.FsFile ? "an open file" : String(file);
}
