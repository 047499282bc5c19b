import { checkInteger, describe } from "../_async/check.ts";
import {
  getPipeCapacity,
  setPipeCapacity as setCapacity,
} from "../_libc/pipe.ts";
import type { Connection } from "../duplex.ts";
import { type Ends, endsOf } from "./_ends.ts";
import type { FifoReader, FifoWriter } from "./fifo_types.ts";
import type { RunningProcess } from "./options.ts";

/**
 * What {@linkcode pipeCapacity} and {@linkcode setPipeCapacity} take: an end of a
 * FIFO, a connection over FIFOs or to a program, a program that {@linkcode spawn}
 * started and that still runs, or the number of an open descriptor, such as 0 for
 * stdin and 1 for stdout.
 */
export type PipeTarget =
  | FifoReader
  | FifoWriter
  | Connection
  | RunningProcess
  | number;

/**
 * Reads how many bytes a pipe holds: 65536 on Linux, unless somebody set it. Of
 * a connection, and a program, it is the pipe that this side writes to, if any.
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
  using ends = descriptors("read", target);
  return getPipeCapacity(ends.numbers.at(-1)!);
}

/**
 * Makes a pipe hold at least so many bytes, both pipes in case of a connection or
 * a program.
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
  using ends = descriptors("set", target);
  for (const fd of ends.numbers) {
    capacity = setCapacity(fd, bytes);
  }
  return capacity;
}

function descriptors(verb: string, target: PipeTarget): Ends {
  const what = `Cannot ${verb} the capacity of a pipe`;
  if (typeof target === "number") {
    const fd = checkInteger("descriptor", target, 0, 2 ** 31 - 1);
    return { numbers: [fd], [Symbol.dispose]() {} };
  }
  const ends = typeof target === "object" && target !== null
    ? endsOf(target, what)
    : undefined;
  if (ends === undefined) {
    throw new TypeError(
      `${what}: expected an end of a FIFO, a connection over FIFOs or to a ` +
        `program, a program with a piped stdin or stdout, or a descriptor, ` +
        `received ${describe(target)}`,
    );
  }
  return ends;
}
