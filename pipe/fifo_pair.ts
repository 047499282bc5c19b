import type { Connection, WaitOptions } from "../duplex.ts";
import { deadline } from "../_async/wait.ts";
import { closeDescriptor } from "../_libc/pipe.ts";
import {
  type ByteStreamOptions,
  checkStreamOptions,
} from "../_transport/options.ts";
import { connectionOver } from "./_fifo_connection.ts";
import { checkFifo } from "./_fifo_path.ts";
import { openForReadingFromWriter, openForWriting } from "./_open_end.ts";

/** Options of {@linkcode openFifoPair}. */
export interface OpenFifoPairOptions extends WaitOptions, ByteStreamOptions {
  /** The FIFO to read from, which the peer writes to. */
  readPath: string;
  /** The FIFO to write to, which the peer reads from. */
  writePath: string;
  /**
   * The longest wait for the peer, in milliseconds. `Infinity` waits as long as
   * it takes.
   *
   * @default {10000}
   */
  timeout?: number;
}

/**
 * Makes a connection of two FIFOs that exist, for a peer that was written for
 * such a pair, in any language. Both are opened at the same time, so that no
 * order in which the peer opens them is a deadlock.
 *
 * Between two programs that use this package, `fifo:` addresses do more:
 * {@linkcode listenFifo}, {@linkcode connectFifo}.
 *
 * Requires `--allow-ffi`, and `--allow-read` for the paths.
 *
 * @param options The two paths, and what bounds the wait.
 * @returns The open connection.
 * @throws What {@linkcode openFifo} throws.
 *
 * @example A shell script at the other end
 * ```ts
 * import { mkfifo, openFifoPair } from "@sluice/ipc/pipe";
 * import { assertEquals } from "@std/assert";
 *
 * const directory = await Deno.makeTempDir();
 * using input = await mkfifo(`${directory}/in`);
 * using output = await mkfifo(`${directory}/out`);
 * const child = new Deno.Command("sh", {
 *   args: ["-c", 'tr a-z A-Z < "$1" > "$2"', "sh", input.path, output.path],
 * }).spawn();
 * await using connection = await openFifoPair({
 *   readPath: output.path,
 *   writePath: input.path,
 * });
 * const writer = connection.writable.getWriter();
 * await writer.write(new TextEncoder().encode("hello"));
 * await writer.close();
 * assertEquals(await new Response(connection.readable as BodyInit).text(), "HELLO");
 * await child.status;
 * ```
 */
export async function openFifoPair(
  options: OpenFifoPairOptions,
): Promise<Connection> {
  const { readPath, writePath } = options;
  checkFifo(`open the FIFO ${readPath}`, readPath);
  checkFifo(`open the FIFO ${writePath}`, writePath);
  checkStreamOptions(options);
  const what = `Cannot open the FIFOs ${readPath} and ${writePath}`;
  using end = deadline(`${what}: no process has the other ends open`, {
    signal: options.signal,
    timeout: options.timeout ?? 10_000,
  });
  const other = new AbortController(); // one that fails ends the other's wait
  const signal = AbortSignal.any([end.signal, other.signal]);
  const opening = [
    openForReadingFromWriter(
      readPath,
      `Cannot open the FIFO ${readPath} for reading`,
      signal,
    ),
    openForWriting(
      writePath,
      `Cannot open the FIFO ${writePath} for writing`,
      signal,
    ),
  ] as const;
  for (const one of opening) one.catch((error) => other.abort(error));
  const [reading, writing] = await Promise.allSettled(opening);
  if (reading.status === "rejected" || writing.status === "rejected") {
    if (reading.status === "fulfilled") closeDescriptor(reading.value.fd);
    if (writing.status === "fulfilled") closeDescriptor(writing.value);
    throw signal.reason;
  }
  return await connectionOver(
    {
      readFd: reading.value.fd,
      first: reading.value.first,
      writeFd: writing.value,
    },
    { local: `fifo:${readPath}`, remote: `fifo:${writePath}` },
    options,
  );
}
