// Connecting to a Unix socket, for those that use it under another address too.

import type { Connection, WaitOptions } from "../duplex.ts";
import { deadline, within } from "../_async/wait.ts";
import {
  setDescriptor,
  socketName,
  watchUnixConnect,
} from "../_libc/descriptor.ts";
import { hasLibc } from "../_libc/library.ts";
import { ByteConnection } from "../_transport/connection.ts";
import {
  type ByteStreamOptions,
  checkStreamOptions,
} from "../_transport/options.ts";
import { retrying, type RetryOptions } from "../_transport/retry.ts";
import { socketIo } from "../_transport/socket_io.ts";
import { checkPath, isAbstract, systemPath } from "./_path.ts";

interface ConnectAsOptions extends WaitOptions, ByteStreamOptions {
  path: string;
  retry?: RetryOptions | boolean;
}

/** Connects to the socket at `options.path`; errors tell of `address`. */
export async function connectAs(
  options: ConnectAsOptions,
  address: string,
): Promise<Connection> {
  const { path, retry = false, timeout = 10_000, signal } = options;
  checkPath("Cannot connect to", path, address);
  checkStreamOptions(options);
  signal?.throwIfAborted();
  // A single try has no use for a signal of its own, which costs as much again.
  if (retry === false) {
    return connectOnce(options, address, { signal, timeout });
  }
  const what = `Cannot connect to ${address}`;
  using end = deadline(what, { signal, timeout });
  return await retrying(
    () => connectOnce(options, address, { signal: end.signal }),
    isTransient,
    retry,
    end.signal,
  );
}

/** Whether a server that is just starting or ending may explain the error. */
export function isTransient(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound ||
    error instanceof Deno.errors.ConnectionRefused ||
    error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.WouldBlock;
}

async function connectOnce(
  options: ConnectAsOptions,
  address: string,
  wait: WaitOptions,
): Promise<Connection> {
  const { path } = options;
  const what = `Cannot connect to ${address}`;
  const open = () =>
    Deno.connect({ transport: "unix", path: systemPath(path) });
  let fd: number | undefined;
  let opened: Promise<Deno.UnixConn>;
  if (hasLibc()) ({ opened, fd } = watchUnixConnect(open));
  else opened = open();
  let conn: Deno.UnixConn;
  try {
    conn = await within(opened, what, wait);
  } catch (error) {
    opened.then((late) => late.close(), () => {});
    throw explain(error, what, path);
  }
  if (fd !== undefined && !leadsTo(fd, conn.remoteAddr)) fd = undefined;
  const connection = new ByteConnection(socketIo(conn, fd), {
    ...options,
    local: "unix:",
    remote: address,
  });
  setDescriptor(connection, fd);
  return connection;
}

/**
 * Whether `fd` may be the socket of who is connected to `remote`. What another
 * thread connects and closes meanwhile can pass for the new one.
 */
function leadsTo(fd: number, remote: Deno.Addr): boolean {
  const name = socketName(fd, "peer");
  return name?.family === "unix" &&
    name.path === (remote as Deno.UnixAddr).path;
}

const REASONS: readonly [
  new (message: string, options?: ErrorOptions) => Error,
  string,
][] = [
  [Deno.errors.NotFound, "there is no such socket, is the server running?"],
  [Deno.errors.ConnectionRefused, ""],
  [Deno.errors.ConnectionReset, "the server closed its listener meanwhile"],
  [Deno.errors.PermissionDenied, "the file's mode forbids it"],
  [Deno.errors.WouldBlock, "the server's backlog is full"],
];

/** The same class of error, with the call and the path in its message. */
function explain(error: unknown, what: string, path: string): unknown {
  for (const [ErrorClass, reason] of REASONS) {
    if (error instanceof ErrorClass) {
      const why = error instanceof Deno.errors.ConnectionRefused
        ? refusal(path)
        : reason;
      return new ErrorClass(`${what}: ${why}`, { cause: error });
    }
  }
  return error;
}

/** Why the kernel refused: it says the same of a file that is no socket. */
function refusal(path: string): string {
  if (isAbstract(path)) return "nobody listens there, is the server running?";
  try {
    const info = Deno.statSync(path);
    if (info.isDirectory) return "the path is a directory and no socket";
    if (!info.isSocket) return "the path is no socket, use another path";
  } catch { // gone meanwhile
  }
  return "nothing listens there, the file is stale: is the server running?";
}
