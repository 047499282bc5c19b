import { checkInteger, describe } from "../_async/check.ts";
import {
  getPipeCapacity,
  setPipeCapacity as setCapacity,
} from "../_libc/pipe.ts";
import type { Connection } from "../duplex.ts";
import { endsOf } from "./_ends.ts";
import type { FifoReader, FifoWriter } from "./open_fifo.ts";

/**
 * What {@linkcode pipeCapacity} and {@linkcode setPipeCapacity} take: an end of a
 * FIFO, a connection over FIFOs, or the number of an open descriptor, such as 0
 * for stdin and 1 for stdout.
 */
export type PipeTarget = FifoReader | FifoWriter | Connection | number;

/**
 * Reads how many bytes a pipe holds: 65536 on Linux, unless somebody set it. Of
 * a connection, it is the pipe that this side writes to.
 *
 * Requires `--allow-ffi`. Linux only (`F_GETPIPE_SZ` of fcntl(2)).
 *
 * @param target Which pipe.
 * @returns Its capacity in bytes.
 * @throws {TypeError} If the target has no pipe that this module knows.
 * @throws {Deno.errors.BadResource} If it is closed, or no pipe.
 * @throws {Deno.errors.NotCapable} Without `--allow-ffi`.
 * @throws {Deno.errors.NotSupported} Elsewhere than on Linux.
 *
 * @example How much goes in before a writer waits
 * ```ts
 * import { mkfifo, openFifo, pipeCapacity } from "@sluice/ipc/pipe";
 * import { assert } from "@std/assert";
 *
 * using fifo = await mkfifo(`${await Deno.makeTempDir()}/a`);
 * await using reader = await openFifo(fifo.path, "read", { keepOpen: true });
 * assert(pipeCapacity(reader) >= 4096);
 * ```
 */
export function pipeCapacity(target: PipeTarget): number {
  return getPipeCapacity(descriptors("read", target).at(-1)!);
}

/**
 * Makes a pipe hold at least so many bytes, both pipes in case of a connection.
 * A larger one costs fewer switches between writer and reader.
 *
 * The kernel rounds up to a power of two of pages (4096 bytes as a rule). Without
 * `CAP_SYS_RESOURCE` the most is what `/proc/sys/fs/pipe-max-size` says, 1 MiB
 * as a rule, and all pipes of a user together are limited by
 * `/proc/sys/fs/pipe-user-pages-soft`.
 *
 * Requires `--allow-ffi`. Linux only (`F_SETPIPE_SZ` of fcntl(2)).
 *
 * @param target Which pipe.
 * @param bytes How many bytes it should hold, from 1 to 2147483648.
 * @returns How many it holds now.
 * @throws {RangeError} If `bytes` is out of range.
 * @throws {Deno.errors.PermissionDenied} If it is more than
 * `/proc/sys/fs/pipe-max-size`.
 * @throws {Deno.errors.Busy} If more bytes wait in the pipe than it should hold.
 * @throws What {@linkcode pipeCapacity} throws.
 *
 * @example Room for a megabyte
 * ```ts
 * import { mkfifo, openFifo, setPipeCapacity } from "@sluice/ipc/pipe";
 * import { assertEquals } from "@std/assert";
 *
 * using fifo = await mkfifo(`${await Deno.makeTempDir()}/a`);
 * await using reader = await openFifo(fifo.path, "read", { keepOpen: true });
 * assertEquals(setPipeCapacity(reader, 1_000_000), 1 << 20);
 * ```
 */
export function setPipeCapacity(target: PipeTarget, bytes: number): number {
  checkInteger("bytes", bytes, 1, 2 ** 31);
  let capacity = 0;
  for (const fd of descriptors("set", target)) {
    capacity = setCapacity(fd, bytes);
  }
  return capacity;
}

function descriptors(verb: string, target: PipeTarget): number[] {
  const numbers = typeof target === "number"
    ? [checkInteger("descriptor", target, 0, 2 ** 31 - 1)]
    : typeof target === "object" && target !== null
    ? endsOf(target)
    : undefined;
  if (numbers === undefined) {
    throw new TypeError(
      `Cannot ${verb} the capacity of a pipe: expected an end of a FIFO, a ` +
        `connection over FIFOs or a descriptor, received ${describe(target)}`,
    );
  }
  return numbers;
}
