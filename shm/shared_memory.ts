import { cString, libc } from "../_libc/library.ts";
import { errnoName, unwrap } from "../_libc/errno.ts";
import { F_DUPFD_CLOEXEC, O_RDWR } from "../_libc/constants.ts";
import { checkInteger } from "../_async/check.ts";
import {
  checkName,
  checkSeals,
  createAnonymous,
  createNamed,
  leadsTo,
  openNamed,
  segmentLength,
} from "./_descriptor.ts";
import { HEADER_SIZE, writeHeader } from "./_header.ts";
import { requireFfi } from "./_platform.ts";
import { adopt } from "./_adopt.ts";
import { Mapping } from "./_mapping.ts";
import type { SharedMemoryEntry } from "./_directory.ts";
import { listSegments, pruneSegments } from "./_directory.ts";

export type { SharedMemoryEntry } from "./_directory.ts";

/** Options of {@linkcode SharedMemory.anonymous}. */
export interface AnonymousSharedMemoryOptions {
  /** The bytes that it must hold. More may come: whole pages are mapped. */
  size: number;
}

/** Options of {@linkcode SharedMemory.create}. */
export interface CreateSharedMemoryOptions
  extends AnonymousSharedMemoryOptions {
  /**
   * Who may open it, as file permissions; the umask is taken off.
   *
   * @default {0o600}
   */
  mode?: number;
  /**
   * Keeps the name after `close`, for processes that open it later. Then only
   * {@linkcode SharedMemory.unlink} or a reboot ends it.
   *
   * @default {false}
   */
  keep?: boolean;
}

/**
 * A piece of memory that several processes see at once: named, for any program
 * that knows the name, or anonymous, for those that get its descriptor.
 *
 * It holds bytes; {@linkcode Ring}, {@linkcode SharedMutex} and the others give
 * them a meaning. Whatever is read from shared memory was written by another
 * process: check it before you rely on it. Everything here needs `--allow-ffi`,
 * without a path: the runtime gives out no memory otherwise.
 *
 * After `close` every view of it is empty (`length` 0), so that late use reads
 * nothing instead of crashing. Don't transfer its `buffer` (`transfer`,
 * `postMessage` with a transfer list): the copy would outlive that protection,
 * so a transferred segment stays mapped until the process ends. And don't close
 * it while an asynchronous operation, such as a file's `read` or `write`, works
 * on a view of it: the runtime hands the bare address to the system.
 *
 * An anonymous segment is sealed: nobody can shrink it under a reader. A named
 * one can't be sealed, so whoever may open it for writing can also truncate it,
 * which kills the other side with SIGBUS: its `mode` says whom you trust.
 *
 * Linux; written for macOS (named segments only) and untested there. Throws
 * `Deno.errors.NotSupported` on Windows.
 *
 * @example Two views of one memory
 * ```ts
 * import { SharedMemory } from "@sluice/ipc/shm";
 * import { assertEquals } from "@std/assert";
 *
 * const name = `example-${crypto.randomUUID()}`;
 * using ours = SharedMemory.create(name, { size: 4096 });
 * using theirs = SharedMemory.open(name); // in another process, as a rule
 * ours.bytes[0] = 42;
 * assertEquals(theirs.bytes[0], 42);
 * ```
 */
export class SharedMemory implements Disposable {
  /** The name without a slash, or `undefined` for an anonymous segment. */
  readonly name: string | undefined;
  #mapping: Mapping;
  #bytes: Uint8Array<ArrayBuffer>;
  #unlinkOnClose: boolean;
  #closed = false;

  private constructor(
    mapping: Mapping,
    name: string | undefined,
    unlinkOnClose: boolean,
  ) {
    this.#mapping = mapping;
    this.name = name;
    this.#unlinkOnClose = unlinkOnClose;
    this.#bytes = new Uint8Array(mapping.buffer, HEADER_SIZE);
  }

  /**
   * Creates a named segment, zeroed, its pages reserved.
   *
   * @param name One path segment, at most 254 bytes; `"/a"` and `"a"` are the
   *   same. C opens it as `shm_open("/a", ...)`.
   * @param options Its size and who may open it.
   * @returns The segment. Closing it also removes the name, unless `keep`.
   * @throws {Deno.errors.AlreadyExists} If the name is taken.
   * @throws {RangeError} If the size is 0, or more than the memory available.
   * @throws {TypeError} If the name is empty or has a slash inside.
   * @throws {Deno.errors.NotCapable} Without `--allow-ffi`.
   */
  static create(
    name: string,
    { size, mode = 0o600, keep = false }: CreateSharedMemoryOptions,
  ): SharedMemory {
    const bare = checkName(name);
    checkInteger("mode", mode, 0, 0o777);
    const what = `Cannot create shared memory "${bare}"`;
    requireFfi(`create shared memory "${bare}"`);
    const length = segmentLength(size);
    const { fd, publish } = createNamed(bare, mode, length, what);
    const mapping = new Mapping(fd, length, what);
    try {
      writeHeader(mapping.buffer, keep);
      publish();
    } catch (error) {
      mapping.close();
      throw error;
    }
    return new SharedMemory(mapping, bare, !keep);
  }

  /**
   * Opens a named segment that {@linkcode SharedMemory.create}, or another
   * program that keeps the documented layout, made.
   *
   * @param name The name, with or without its leading slash.
   * @returns The segment. Closing it leaves the name alone.
   * @throws {Deno.errors.NotFound} If there is none.
   * @throws {Deno.errors.PermissionDenied} If its mode forbids.
   * @throws {Deno.errors.InvalidData} If it is none of ours, of another layout
   *   version, or truncated.
   * @throws {Deno.errors.Busy} If its creator is not done yet.
   */
  static open(name: string): SharedMemory {
    const bare = checkName(name);
    const what = `Cannot open shared memory "${bare}"`;
    requireFfi(`open shared memory "${bare}"`);
    const fd = openNamed(bare, O_RDWR, what);
    return new SharedMemory(adopt(fd, what), bare, false);
  }

  /**
   * Creates a segment without a name, sealed against growing and shrinking.
   * Pass its {@linkcode SharedMemory.fd} to let another process in.
   *
   * @param size The bytes that it must hold, bare or as options.
   * @throws {RangeError} If the size is 0, or more than the memory available.
   * @throws {Deno.errors.NotSupported} Where there is no `memfd_create`.
   */
  static anonymous(size: number | AnonymousSharedMemoryOptions): SharedMemory {
    const bytes = typeof size === "number" ? size : size.size;
    const what = "Cannot create anonymous shared memory";
    requireFfi("create anonymous shared memory");
    const length = segmentLength(bytes);
    const mapping = new Mapping(createAnonymous(length, what), length, what);
    writeHeader(mapping.buffer, false);
    return new SharedMemory(mapping, undefined, false);
  }

  /**
   * Maps a segment whose descriptor came from another process, after checking
   * its seals, its size and its header.
   *
   * @param fd The descriptor. It belongs to the segment from now on, and is
   *   closed also where this throws.
   * @throws {Deno.errors.InvalidData} If it is not sealed against shrinking, or
   *   no segment of this layout.
   * @throws {Deno.errors.BadResource} If no such descriptor is open.
   */
  static fromDescriptor(fd: number): SharedMemory {
    checkInteger("fd", fd, 0, 2 ** 31 - 1);
    requireFfi("open shared memory from a descriptor");
    const what = `Cannot open shared memory from descriptor ${fd}`;
    return new SharedMemory(adopt(fd, what, checkSeals), undefined, false);
  }

  /**
   * Removes a name. Those who have the segment open keep it.
   *
   * @throws {Deno.errors.NotFound} If there is none.
   */
  static unlink(name: string): void {
    const bare = checkName(name);
    const what = `Cannot unlink shared memory "${bare}"`;
    const c = libc(`unlink shared memory "${bare}"`);
    unwrap(c.shm_unlink!(cString(`/${bare}`)), what, "shm_unlink");
  }

  /**
   * Lists the named segments of this layout, whoever made them, and whether
   * the maker still lives. Needs `--allow-all`: Deno wants it for `/dev/shm`,
   * whatever `--allow-read` says. Linux.
   *
   * @throws {Deno.errors.NotCapable} Without `--allow-all`.
   * @throws {Deno.errors.NotSupported} Elsewhere: no directory to list.
   */
  static list(): SharedMemoryEntry[] {
    return listSegments();
  }

  /**
   * Removes the names of segments whose maker is dead: a process that was
   * killed can't. Segments from another pid namespace (a container that shares
   * `/dev/shm`) are left alone, since their pids say nothing here; so are those
   * made with `keep` by a process that ended, unless it is given. Needs
   * `--allow-all`, as `list` does.
   *
   * @param options `keep: true` also removes segments that were to be kept.
   * @returns The entries that it removed.
   */
  static prune(options: { keep?: boolean } = {}): SharedMemoryEntry[] {
    return pruneSegments(options);
  }

  /** The usable bytes: at least as many as were asked for. 0 after `close`. */
  get size(): number {
    return this.#bytes.length;
  }

  /** A view of all usable bytes; always the same one. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  /**
   * The whole mapping, the segment's own header first:
   * {@linkcode SharedMemory.bytes} starts at its byte 128.
   */
  get buffer(): ArrayBuffer {
    return this.#mapping.buffer;
  }

  /**
   * The descriptor, to pass on: with `SCM_RIGHTS`, or in a child's `stdio`. It
   * closes with the segment; {@linkcode SharedMemory.duplicate} gives another.
   *
   * @throws {Deno.errors.BadResource} After `close`.
   */
  get fd(): number {
    this.#check();
    return this.#mapping.fd;
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#closed;
  }

  /** A new descriptor for the same segment, owned by the caller. */
  duplicate(): number {
    return unwrap(
      libc("duplicate a descriptor").fcntl!(this.fd, F_DUPFD_CLOEXEC, 3n),
      "Cannot duplicate the descriptor of shared memory",
      "fcntl",
    );
  }

  /**
   * Empties every view, unmaps, and removes the name if this object created it
   * without `keep`. Calling it again does nothing.
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // Another segment may have the name by now, if someone unlinked this one.
    const ours = this.#unlinkOnClose && leadsTo(this.name!, this.#mapping.fd);
    this.#mapping.close();
    if (!ours) return;
    const c = libc("unlink shared memory");
    if (
      c.shm_unlink!(cString(`/${this.name}`)) < 0 && errnoName() !== "ENOENT"
    ) unwrap(-1, `Cannot unlink shared memory "${this.name}"`, "shm_unlink");
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.close();
  }

  #check(): void {
    if (this.#closed) {
      throw new Deno.errors.BadResource(
        "Cannot use shared memory: it is closed",
      );
    }
  }
}
