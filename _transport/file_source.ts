// A file that is to be sent: opened by path, or open already.

import { describe } from "../_async/check.ts";
import {
  F_DUPFD_CLOEXEC,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDONLY,
} from "../_libc/constants.ts";
import { findFiles, isFile, isReadable } from "../_libc/file.ts";
import { cString, hasLibc, libc } from "../_libc/library.ts";

/** An open file and what is known of it. */
export interface Source {
  /** Such as "Cannot send /a": errors begin with it. */
  readonly what: string;
  readonly info: Deno.FileInfo;
  /** Fills the start of `into` from `offset`; the count, 0 at the end. */
  readAt(into: Uint8Array, offset: number): Promise<number>;
  /** A descriptor of the file for the life of the source, if one is found. */
  descriptor(): number | undefined;
  close(): void;
}

/** Opens a path, or takes a file that its owner goes on to own. */
export async function openSource(
  file: string | URL | Deno.FsFile,
): Promise<Source> {
  const open = file instanceof Deno.FsFile;
  if (!open && typeof file !== "string" && !(file instanceof URL)) {
    throw new TypeError(
      `Invalid file: expected a path or a Deno.FsFile, received ${
        describe(file)
      }`,
    );
  }
  const what = `Cannot send ${open ? "an open file" : file}`;
  const handle = open ? file : await openPath(file, what);
  try {
    const info = await handle.stat();
    if (info.isDirectory) {
      throw new Deno.errors.IsADirectory(`${what}: it is a directory`);
    }
    return new FileSource(what, handle, info, open ? undefined : file);
  } catch (error) {
    if (!open) handle.close();
    throw error;
  }
}

async function openPath(
  path: string | URL,
  what: string,
): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Deno.errors.NotFound(`${what}: there is no such file`, {
      cause: error,
    });
  }
}

/** Reads of one open file take turns, as each has to move its position. */
const turns = new WeakMap<Deno.FsFile, Promise<unknown>>();

class FileSource implements Source {
  readonly what: string;
  readonly info: Deno.FileInfo;
  #file: Deno.FsFile;
  /** Where it was opened by path, and so is ours to close. */
  #path: string | URL | undefined;
  #fd: number | undefined;

  constructor(
    what: string,
    file: Deno.FsFile,
    info: Deno.FileInfo,
    path: string | URL | undefined,
  ) {
    this.what = what;
    this.info = info;
    this.#file = file;
    this.#path = path;
  }

  async readAt(into: Uint8Array, offset: number): Promise<number> {
    const file = this.#file;
    if (!this.info.isFile) return await file.read(into) ?? 0; // no position
    const before = turns.get(file);
    const read = (async () => {
      await before?.catch(() => {});
      const position = await file.seek(0, Deno.SeekMode.Current);
      await file.seek(offset, Deno.SeekMode.Start);
      const count = await file.read(into) ?? 0;
      await file.seek(position, Deno.SeekMode.Start);
      return count;
    })();
    turns.set(file, read);
    return await read;
  }

  descriptor(): number | undefined {
    if (this.#fd !== undefined) return this.#fd;
    if (Deno.build.os !== "linux" || !hasLibc()) return undefined;
    const fd = this.#path === undefined
      ? this.#duplicate()
      : this.#reopen(this.#path);
    return this.#fd = fd;
  }

  /** Of the same file, which the runtime opened: it has no number to show. */
  #reopen(path: string | URL): number | undefined {
    const lib = libc(this.what.replace("Cannot ", ""));
    const name = path instanceof URL ? decodeURIComponent(path.pathname) : path;
    const flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
    const fd = lib.open!(cString(name), flags, 0);
    if (fd < 0) return undefined;
    if (isFile(fd, this.info)) return fd;
    lib.close!(fd); // replaced since
    return this.#duplicate();
  }

  /** A copy, so that its number stays this file's until it is closed. */
  #duplicate(): number | undefined {
    const lib = libc(this.what.replace("Cannot ", ""));
    const found = findFiles(this.info).find(isReadable);
    if (found === undefined) return undefined;
    const fd = lib.fcntl!(found, F_DUPFD_CLOEXEC, 0n);
    return fd < 0 ? undefined : fd;
  }

  close(): void {
    if (this.#fd !== undefined) libc("close a file").close!(this.#fd);
    this.#fd = undefined;
    if (this.#path !== undefined) this.#file.close();
  }
}
