// Opening, sizing and sealing the descriptors behind segments.

import { cString, libc } from "../_libc/library.ts";
import { errnoName, osError, unwrap } from "../_libc/errno.ts";
import {
  AT_FDCWD,
  AT_SYMLINK_FOLLOW,
  F_ADD_SEALS,
  F_GET_SEALS,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  SEEK_END,
} from "../_libc/constants.ts";
import { checkInteger, checkString } from "../_async/check.ts";
import { availableMemory } from "./_process.ts";
import { HEADER_SIZE } from "./_header.ts";
import { MAX_SEGMENT } from "./_mapping.ts";

const PAGE = Deno.build.os === "darwin" ? 16384 : 4096;
const SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
/** `NAME_MAX` of Linux; macOS takes 31 bytes in all. */
const MAX_NAME = Deno.build.os === "darwin" ? 30 : 254;

/** Checks a segment's name and returns it without its leading slash. */
export function checkName(name: string): string {
  checkString("name", name);
  const bare = name.startsWith("/") ? name.slice(1) : name;
  if (bare === "" || bare === "." || bare === ".." || bare.includes("/")) {
    throw new TypeError(
      `Invalid name: expected one path segment, received ${
        JSON.stringify(name)
      }`,
    );
  }
  const length = new TextEncoder().encode(bare).length;
  if (length > MAX_NAME) {
    throw new RangeError(
      `Invalid name: expected at most ${MAX_NAME} bytes, received ${length}`,
    );
  }
  return bare;
}

/** The bytes of a segment with room for `size`: header and whole pages. */
export function segmentLength(size: number): number {
  checkInteger("size", size, 1, MAX_SEGMENT - HEADER_SIZE);
  const length = Math.ceil((size + HEADER_SIZE) / PAGE) * PAGE;
  const available = availableMemory();
  if (length > available) {
    throw new RangeError(
      `Invalid size: ${size} bytes exceed the ${available} bytes of memory ` +
        "that are available",
    );
  }
  return length;
}

/** A new sealed anonymous descriptor, its pages reserved. */
export function createAnonymous(length: number, what: string): number {
  const c = libc(what);
  if (c.memfd_create === null) {
    throw new Deno.errors.NotSupported(
      `${what}: memfd_create is not available on ${Deno.build.os}, ` +
        "use SharedMemory.create",
    );
  }
  const fd = unwrap(
    c.memfd_create(cString("sluice"), MFD_CLOEXEC | MFD_ALLOW_SEALING),
    what,
    "memfd_create",
  );
  try {
    resize(fd, length, what);
    unwrap(c.fcntl!(fd, F_ADD_SEALS, BigInt(SEALS)), what, "fcntl");
    return fd;
  } catch (error) {
    c.close!(fd);
    throw error;
  }
}

/** A named descriptor that its name does not lead to yet. */
export interface NamedDescriptor {
  fd: number;
  /** Gives it its name, which must be free, in one step. */
  publish(): void;
}

/** Creates a named descriptor, to be published when its header is written. */
export function createNamed(
  name: string,
  mode: number,
  length: number,
  what: string,
): NamedDescriptor {
  const c = libc(what);
  const unnamed = Deno.build.os !== "linux" || c.linkat === null
    ? -1
    : c.open!(cString("/dev/shm"), O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
  // Elsewhere it is seen before it is done; `open` then says Busy.
  const create = () =>
    c.shm_open!(
      cString(`/${name}`),
      O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC,
      mode,
    );
  const fd = unnamed >= 0 ? unnamed : explained(create, what, "shm_open");
  try {
    resize(fd, length, what);
  } catch (error) {
    c.close!(fd);
    if (unnamed < 0) c.shm_unlink!(cString(`/${name}`));
    throw error;
  }
  const publish = () => {
    if (unnamed < 0) return;
    const from = cString(`/proc/self/fd/${fd}`);
    const to = cString(`/dev/shm/${name}`);
    const call = () =>
      c.linkat!(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW);
    explained(call, what, "linkat");
  };
  return { fd, publish };
}

/** Opens a named descriptor that exists. */
export function openNamed(name: string, flags: number, what: string): number {
  const open = () =>
    libc(what).shm_open!(cString(`/${name}`), flags | O_CLOEXEC, 0);
  return explained(open, what, "shm_open", "its mode forbids it");
}

/** What `call` returns, or an error that says what to do about a name. */
function explained(
  call: () => number,
  what: string,
  name: string,
  denied?: string,
): number {
  const result = call();
  if (result >= 0) return result;
  const error = osError(what, name);
  const hint = error.code === "EEXIST"
    ? "the name is taken, open it, unlink it, or prune what dead makers left"
    : error.code === "ENOENT"
    ? "there is none of this name, was it created, and is its maker alive?"
    : error.code === "EACCES"
    ? denied
    : undefined;
  if (hint === undefined) throw error;
  const ErrorClass = error.constructor as ErrorConstructor;
  throw Object.assign(new ErrorClass(`${what}: ${hint}`, { cause: error }), {
    code: error.code,
  });
}

function resize(fd: number, length: number, what: string): void {
  const c = libc(what);
  unwrap(c.ftruncate!(fd, BigInt(length)), what, "ftruncate");
  // Without its pages a full /dev/shm would be a SIGBUS at some later write.
  let code: number;
  do code = c.posix_fallocate?.(fd, 0n, BigInt(length)) ?? 0; while (
    errnoName(code) === "EINTR"
  ); // a signal came, nothing was reserved
  if (code !== 0) throw osError(what, "posix_fallocate", code);
}

/** The bytes behind a descriptor. */
export function lengthOf(fd: number, what: string): number {
  return Number(unwrap(libc(what).lseek!(fd, 0n, SEEK_END), what, "lseek"));
}

/**
 * Whether a name leads to the file behind `fd`. Where that can't be told, the
 * name is believed.
 */
export function leadsTo(name: string, fd: number): boolean {
  const c = libc("look at shared memory");
  const other = c.shm_open!(cString(`/${name}`), O_RDONLY | O_CLOEXEC, 0);
  if (other < 0) return errnoName() !== "ENOENT";
  const same = inodeOf(other) === inodeOf(fd);
  c.close!(other);
  return same;
}

/** `st_ino`, at byte 8 of struct stat on 64-bit Linux and macOS. */
function inodeOf(fd: number): bigint | undefined {
  const stat = new BigUint64Array(32);
  const result = libc("look at shared memory").fstat?.(
    fd,
    new Uint8Array(stat.buffer),
  );
  return result === 0 ? stat[1] : undefined;
}

/** Throws where the other side could still shrink the segment: a SIGBUS. */
export function checkSeals(fd: number, what: string): void {
  const seals = libc(what).fcntl!(fd, F_GET_SEALS, 0n);
  if (seals < 0 && errnoName() === "EBADF") throw osError(what, "fcntl");
  if (seals < 0 || (seals & F_SEAL_SHRINK) === 0) {
    throw new Deno.errors.InvalidData(
      `${what}: it is not sealed against shrinking ` +
        `(seals ${seals < 0 ? "none" : seals})`,
    );
  }
}
