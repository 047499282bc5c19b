// A part of a file on its way: moved by the kernel, or copied.

import { F_DUPFD_CLOEXEC } from "../_libc/constants.ts";
import type { Descriptor } from "../_libc/descriptor.ts";
import { osError, unwrap } from "../_libc/errno.ts";
import { libc } from "../_libc/library.ts";
import type { Source } from "./file_source.ts";
import type { Out } from "./raw.ts";

/** Less than this is copied: finding the descriptors costs more, in bytes. */
const WORTH_MOVING = 32 * 1024;
/** The most that one sendfile(2) is asked for, which bounds its time. */
const MOVE_SIZE = 4 << 20;
/** What is copied to learn that a full socket has room again, in bytes. */
const PAGE = 4096;
/** What one copy takes, in bytes. */
const COPY_SIZE = 256 * 1024;

/** Which part of a file, and who wants to know of it. */
export interface FileRangeOptions {
  offset: number;
  length: number | undefined;
  signal: AbortSignal | undefined;
  onProgress: ((sent: number, total: number) => void) | undefined;
}

export class FileRange {
  #source: Source;
  #offset: number;
  /** `Infinity` for a pipe or device, which has no length. */
  #length: number;
  #exact: boolean;
  #signal: AbortSignal | undefined;
  #onProgress: ((sent: number, total: number) => void) | undefined;
  #sent = 0;
  #moved = 0;

  constructor(source: Source, options: FileRangeOptions) {
    const { offset, length, signal, onProgress } = options;
    const { isFile, size } = source.info;
    // Files of /proc and the like have content and no size.
    const known = isFile && size > 0;
    if (!isFile && offset > 0) {
      throw new RangeError(
        `${source.what}: it has no positions, received offset ${offset}`,
      );
    }
    if (known && offset + (length ?? 0) > size) {
      throw new RangeError(
        `${source.what}: offset ${offset} and length ${length ?? 0} exceed ` +
          `its ${size} bytes`,
      );
    }
    this.#source = source;
    this.#offset = offset;
    this.#length = length ?? (known ? size - offset : Infinity);
    this.#exact = length !== undefined || known;
    this.#signal = signal;
    this.#onProgress = onProgress;
  }

  get worthMoving(): boolean {
    return this.#length >= WORTH_MOVING && this.#length !== Infinity &&
      this.#source.info.isFile && this.#source.info.size > 0;
  }

  result(): { bytes: number; zeroCopy: boolean } {
    return { bytes: this.#sent, zeroCopy: this.#moved > 0 };
  }

  /**
   * By sendfile(2), on a thread of the pool, as it may have to read the disk.
   * The socket does not block, so the call ends when the socket is full. Then
   * the runtime writes the next page as it writes anything: it waits until there
   * is room, with no thread and no poll, and finds out if the peer is gone.
   */
  async moveTo(socket: Descriptor, out: Out): Promise<void> {
    const file = this.#source.descriptor();
    const lib = libc("send a file");
    if (file === undefined || lib.sendfile_async === null) return;
    if (isClosed(socket)) return; // to write tells
    // Copies of the numbers: a call on a thread may begin after a close.
    const fd = unwrap(
      lib.fcntl!(socket.fd, F_DUPFD_CLOEXEC, 0n),
      this.#source.what,
      "fcntl(F_DUPFD)",
    );
    const position = new BigInt64Array(1);
    const pointer = new Uint8Array(position.buffer);
    const page = new Uint8Array(PAGE);
    try {
      while (this.#sent < this.#length) {
        this.#signal?.throwIfAborted();
        const want = Math.min(this.#length - this.#sent, MOVE_SIZE);
        position[0] = BigInt(this.#offset + this.#sent);
        const count = Number(
          await lib.sendfile_async(fd, file, pointer, BigInt(want)),
        );
        if (count > 0) {
          this.#moved += count;
          this.#count(count);
          out.progress();
        }
        if (count < want) await this.#copyPage(file, page, out);
        // Not a byte at first: this file system or socket can't be moved from.
        if (count < 0 && this.#moved === 0 && !this.#isFull(fd, file)) return;
      }
    } finally {
      lib.close!(fd);
    }
  }

  /** errno is right after this call only: the one on a thread has none. */
  #isFull(fd: number, file: number): boolean {
    const lib = libc("send a file");
    const position = new BigInt64Array([BigInt(this.#offset + this.#sent)]);
    const pointer = new Uint8Array(position.buffer);
    const want = Math.min(PAGE, this.#length - this.#sent);
    if (want <= 0) return true;
    const count = Number(lib.sendfile!(fd, file, pointer, BigInt(want)));
    if (count <= 0) {
      const code = osError(this.#source.what, "sendfile").code;
      return count < 0 && code !== "EINVAL" && code !== "ENOSYS" &&
        code !== "EOVERFLOW";
    }
    this.#moved += count;
    this.#count(count);
    return true;
  }

  async #copyPage(
    file: number,
    page: Uint8Array<ArrayBuffer>,
    out: Out,
  ): Promise<void> {
    const want = Math.min(PAGE, this.#length - this.#sent);
    if (want === 0) return;
    const lib = libc("read a file");
    const at = BigInt(this.#offset + this.#sent);
    let count = Number(await lib.pread_async!(file, page, BigInt(want), at));
    if (count < 0) { // again, for its errno
      count = Number(lib.pread!(file, page, BigInt(want), at));
      unwrap(count, this.#source.what, "pread");
    }
    if (count === 0) throw this.#cutOff();
    await out.write(page.subarray(0, count));
    this.#count(count);
  }

  /** By reading and writing. */
  async copyTo(out: Out): Promise<void> {
    if (this.#sent >= this.#length) return;
    const size = Math.min(COPY_SIZE, this.#length);
    let buffer: Uint8Array | undefined;
    while (this.#sent < this.#length) {
      this.#signal?.throwIfAborted();
      const want = Math.min(size, this.#length - this.#sent);
      if (out.keepsChunks) buffer = undefined;
      const into = (buffer ??= new Uint8Array(size)).subarray(0, want);
      const count = await this.#source.readAt(
        into,
        this.#offset + this.#sent,
      );
      if (count === 0) {
        if (!this.#exact) return;
        throw this.#cutOff();
      }
      await out.write(into.subarray(0, count));
      this.#count(count);
    }
  }

  #count(bytes: number): void {
    this.#sent += bytes;
    try {
      this.#onProgress?.(this.#sent, this.#length);
    } catch { // a hook that throws must not cut the file off
    }
  }

  #cutOff(): Error {
    return new Deno.errors.UnexpectedEof(
      `${this.#source.what}: it ended after ${this.#sent} of ` +
        `${this.#length} bytes`,
    );
  }
}

function isClosed(socket: Descriptor): boolean {
  try {
    return socket.fd < 0;
  } catch {
    return true;
  }
}
