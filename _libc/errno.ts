// errno, and the `Deno.errors` class of each.

import { libc } from "./library.ts";

type ErrorClass = new (message: string, options?: ErrorOptions) => Error;

interface ErrnoEntry {
  name: string;
  error: ErrorClass;
}

const E = Deno.errors;

/** Numbers below 35 agree on Linux and macOS, except EAGAIN. */
const COMMON: Record<number, ErrnoEntry> = {
  1: { name: "EPERM", error: E.PermissionDenied },
  2: { name: "ENOENT", error: E.NotFound },
  3: { name: "ESRCH", error: E.NotFound },
  4: { name: "EINTR", error: E.Interrupted },
  5: { name: "EIO", error: Error },
  6: { name: "ENXIO", error: Error },
  9: { name: "EBADF", error: E.BadResource },
  12: { name: "ENOMEM", error: Error },
  13: { name: "EACCES", error: E.PermissionDenied },
  14: { name: "EFAULT", error: Error },
  16: { name: "EBUSY", error: E.Busy },
  17: { name: "EEXIST", error: E.AlreadyExists },
  20: { name: "ENOTDIR", error: E.NotADirectory },
  21: { name: "EISDIR", error: E.IsADirectory },
  22: { name: "EINVAL", error: E.InvalidData },
  23: { name: "ENFILE", error: Error },
  24: { name: "EMFILE", error: Error },
  27: { name: "EFBIG", error: Error },
  28: { name: "ENOSPC", error: Error },
  30: { name: "EROFS", error: E.PermissionDenied },
  32: { name: "EPIPE", error: E.BrokenPipe },
};

const LINUX: Record<number, ErrnoEntry> = {
  11: { name: "EAGAIN", error: E.WouldBlock },
  36: { name: "ENAMETOOLONG", error: E.InvalidData },
  38: { name: "ENOSYS", error: E.NotSupported },
  40: { name: "ELOOP", error: E.FilesystemLoop },
  88: { name: "ENOTSOCK", error: E.InvalidData },
  92: { name: "ENOPROTOOPT", error: E.NotSupported },
  95: { name: "EOPNOTSUPP", error: E.NotSupported },
  98: { name: "EADDRINUSE", error: E.AddrInUse },
  104: { name: "ECONNRESET", error: E.ConnectionReset },
  107: { name: "ENOTCONN", error: E.NotConnected },
  110: { name: "ETIMEDOUT", error: E.TimedOut },
  111: { name: "ECONNREFUSED", error: E.ConnectionRefused },
};

const DARWIN: Record<number, ErrnoEntry> = {
  35: { name: "EAGAIN", error: E.WouldBlock },
  38: { name: "ENOTSOCK", error: E.InvalidData },
  42: { name: "ENOPROTOOPT", error: E.NotSupported },
  45: { name: "ENOTSUP", error: E.NotSupported },
  48: { name: "EADDRINUSE", error: E.AddrInUse },
  54: { name: "ECONNRESET", error: E.ConnectionReset },
  57: { name: "ENOTCONN", error: E.NotConnected },
  60: { name: "ETIMEDOUT", error: E.TimedOut },
  61: { name: "ECONNREFUSED", error: E.ConnectionRefused },
  62: { name: "ELOOP", error: E.FilesystemLoop },
  63: { name: "ENAMETOOLONG", error: E.InvalidData },
  78: { name: "ENOSYS", error: E.NotSupported },
};

const TABLE: Record<number, ErrnoEntry> = {
  ...COMMON,
  ...(Deno.build.os === "darwin" ? DARWIN : LINUX),
};

let cell: Int32Array | undefined;

/** The errno of the last synchronous call. Meaningless after another. */
export function errno(): number {
  if (cell === undefined) {
    const library = libc("read errno");
    const pointer = library.__errno_location?.() ?? library.__error?.() ?? null;
    if (pointer === null) return 0;
    try {
      cell = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(pointer, 4));
    } catch { // a pointer can't be read where only a path is allowed
      return 0;
    }
  }
  return cell[0];
}

/** The name of an errno, such as `"EAGAIN"`. */
export function errnoName(code: number = errno()): string {
  return TABLE[code]?.name ?? `errno ${code}`;
}

/** The `Deno.errors` instance for an errno. `what` reads "Cannot map x". */
export function osError(
  what: string,
  call: string,
  code: number = errno(),
): Error & { code: string } {
  const entry = TABLE[code] ?? { name: `errno ${code}`, error: Error };
  return Object.assign(
    new entry.error(`${what}: ${call} failed with ${entry.name}`),
    { code: entry.name },
  );
}

/** The same for an errno's name, as {@linkcode errnoName} gives it. */
export function namedError(
  what: string,
  call: string,
  name: string,
): Error & { code: string } {
  const entry = Object.entries(TABLE).find(([, entry]) => entry.name === name);
  return osError(what, call, Number(entry?.[0] ?? name.replace("errno ", "")));
}

/** Returns `result`, or throws the errno's error where it is negative. */
export function unwrap<T extends number | bigint>(
  result: T,
  what: string,
  call: string,
): T {
  if (result < 0) throw osError(what, call);
  return result;
}
