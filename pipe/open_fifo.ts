import { checkOneOf } from "../_async/check.ts";
import { checkStreamOptions } from "../_transport/options.ts";
import { openReader, openWriter } from "./_fifo_ends.ts";
import { checkFifo } from "./_fifo_path.ts";
import type {
  FifoReader,
  FifoWriter,
  OpenFifoOptions,
  OpenFifoReadOptions,
} from "./fifo_types.ts";

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
