// Moves bytes from socket to socket by splice(2), through a pipe.

import { ConnectionClosedError } from "../duplex.ts";
import { yieldTurn } from "../_async/turn.ts";
import {
  F_SETPIPE_SZ,
  O_CLOEXEC,
  O_NONBLOCK,
  SPLICE_F_MOVE,
  SPLICE_F_NONBLOCK,
} from "../_libc/constants.ts";
import type { Descriptor } from "../_libc/descriptor.ts";
import { errnoName, osError, unwrap } from "../_libc/errno.ts";
import { libc } from "../_libc/library.ts";
import { ByteConnection, type ByteIo } from "./connection.ts";
import { rawDescriptor, writeAll } from "./raw.ts";

/** What the pipe holds, in bytes; less where the user has many large ones. */
const PIPE_SIZE = 256 * 1024;
/** The most to move before the event loop turns, in bytes: about 1 ms. */
const TURN_SIZE = 4 << 20;
/** What is copied to learn that a full socket has room again, in bytes. */
const PAGE = 4096;

const WHAT = "Cannot splice";

export class Mover implements Disposable {
  /** Bytes that the kernel moved. */
  moved = 0;

  #from: ByteConnection;
  #source: Descriptor;
  #target: Descriptor;
  #remote: string;
  #lost: unknown;
  #pipe: { out: number; in: number } | undefined;
  #lent = 0;

  constructor(
    from: ByteConnection,
    source: Descriptor,
    target: Descriptor,
  ) {
    this.#from = from;
    this.#remote = from.remote;
    this.#source = source;
    this.#target = target;
  }

  /** A mover, where both ends are sockets that carry nothing but the bytes. */
  static between(from: object, to: object): Mover | undefined {
    if (Deno.build.os !== "linux" || !(from instanceof ByteConnection)) return;
    const source = rawDescriptor(from);
    const target = rawDescriptor(to);
    if (source === undefined || target === undefined) return undefined;
    return new Mover(from, source, target);
  }

  /**
   * Moves what the source has, up to `most` bytes. Where the target is full, the
   * runtime writes the next page and so waits for room.
   */
  async move(
    io: ByteIo,
    most: number,
    progress: () => void,
  ): Promise<number> {
    const lib = libc("splice");
    if (lib.splice === null) return 0;
    const pipe = this.#pipe ??= openPipe();
    this.#lent++;
    let total = 0;
    try {
      while (total < Math.min(most, TURN_SIZE)) {
        if (!this.#from.inputIsUntouched) break; // what was read goes first
        const want = Math.min(PIPE_SIZE, most - total);
        const count = this.#fill(pipe.in, want);
        if (count === 0) break;
        this.#from.progress();
        await this.#empty(pipe.out, count, io, progress);
        total += count;
      }
    } finally {
      this.#lent--;
      if (this.#disposed) this[Symbol.dispose]();
    }
    await yieldTurn();
    return total;
  }

  /** From the source to the pipe. 0 where nothing is there, or at the end. */
  #fill(into: number, want: number): number {
    const fd = this.#numberOf(this.#source);
    if (fd === undefined) return 0;
    const count = Number(
      libc("splice").splice!(
        fd,
        null,
        into,
        null,
        BigInt(want),
        SPLICE_F_MOVE | SPLICE_F_NONBLOCK,
      ),
    );
    if (count >= 0) return count;
    const code = errnoName();
    if (code === "EAGAIN" || code === "EINTR" || code === "EINVAL") return 0;
    // The kernel tells of it once: a later read would see a clean end.
    this.#lost = new ConnectionClosedError(
      `Cannot read from ${this.#remote}: the connection was lost`,
      { code: "lost", cause: osError(WHAT, "splice") },
    );
    this.#from.abort(this.#lost);
    return 0;
  }

  /** From the pipe to the target: all of `count`. */
  async #empty(
    out: number,
    count: number,
    io: ByteIo,
    progress: () => void,
  ): Promise<void> {
    const lib = libc("splice");
    for (let left = count; left > 0;) {
      const sent = Number(
        lib.splice!(
          out,
          null,
          this.#target.fd,
          null,
          BigInt(left),
          SPLICE_F_MOVE | SPLICE_F_NONBLOCK,
        ),
      );
      if (sent > 0) {
        left -= sent;
        this.moved += sent;
        progress();
        continue;
      }
      const code = sent === 0 ? "EAGAIN" : errnoName();
      if (code === "EINTR") continue;
      if (code !== "EAGAIN" && code !== "EINVAL") {
        throw osError(WHAT, "splice");
      }
      const page = new Uint8Array(Math.min(PAGE, left));
      const got = Number(lib.read!(out, page, BigInt(page.length)));
      unwrap(got, WHAT, "read");
      await writeAll(io, page.subarray(0, got));
      progress();
      left -= got;
    }
  }

  #numberOf(descriptor: Descriptor): number | undefined {
    try {
      return descriptor.fd;
    } catch { // closed: its stream tells
      return undefined;
    }
  }

  /** Throws what the source was lost to. */
  throwIfLost(): void {
    if (this.#lost !== undefined) throw this.#lost;
  }

  #disposed = false;

  /** Closes the pipe, once nothing is on its way through it. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    if (this.#lent > 0 || this.#pipe === undefined) return;
    const lib = libc("splice");
    lib.close!(this.#pipe.in);
    lib.close!(this.#pipe.out);
    this.#pipe = undefined;
  }
}

function openPipe(): { out: number; in: number } {
  const lib = libc("splice");
  const ends = new Int32Array(2);
  unwrap(
    lib.pipe2!(new Uint8Array(ends.buffer), O_CLOEXEC | O_NONBLOCK),
    WHAT,
    "pipe2",
  );
  lib.fcntl!(ends[1], F_SETPIPE_SZ, BigInt(PIPE_SIZE));
  return { out: ends[0], in: ends[1] };
}
