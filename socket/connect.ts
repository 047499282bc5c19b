import type { Connection, WaitOptions } from "../duplex.ts";
import { deadline, within } from "../_async/wait.ts";
import { setDescriptor, watchUnixConnect } from "../_libc/descriptor.ts";
import { hasLibc } from "../_libc/library.ts";
import { ByteConnection } from "../_transport/connection.ts";
import {
  type ByteStreamOptions,
  checkStreamOptions,
} from "../_transport/options.ts";
import { retrying, type RetryOptions } from "../_transport/retry.ts";
import { checkPath, systemPath, unixAddress } from "./_path.ts";

/** Options of {@linkcode connectUnix}. */
export interface ConnectUnixOptions extends WaitOptions, ByteStreamOptions {
  /** The socket's path; `"@name"` is in the abstract namespace (Linux). */
  path: string;
  /**
   * The longest time for all tries together, in milliseconds.
   *
   * @default {10000}
   */
  timeout?: number;
  /**
   * Whether to try again while nothing listens at the path yet: `true` for the
   * defaults of {@linkcode RetryOptions}.
   *
   * @default {false}
   */
  retry?: RetryOptions | boolean;
}

/**
 * Connects to a Unix socket.
 *
 * Requires `--allow-net=unix:<path>`, and `--allow-read` and `--allow-write` for
 * the path. With `--allow-ffi`, {@linkcode peerCredentials} works on the result.
 *
 * @param options The path and what bounds the wait.
 * @returns The open connection.
 * @throws {Deno.errors.NotFound} If there is nothing at the path.
 * @throws {Deno.errors.ConnectionRefused} If nothing listens there any more.
 * @throws {Deno.errors.PermissionDenied} If the socket's mode forbids it.
 * @throws {DOMException} `TimeoutError`, if it takes longer than `timeout`.
 * @throws {RangeError} If the path is longer than a socket address holds.
 * @throws {Deno.errors.NotSupported} On Windows.
 *
 * @example Waiting for a server that is just starting
 * ```ts
 * import { connectUnix, listenUnix } from "@sluice/ipc/socket";
 *
 * const path = `${await Deno.makeTempDir()}/a.sock`;
 * const connecting = connectUnix({ path, retry: true });
 * await using listener = await listenUnix({ path });
 * await using accepted = await listener.accept();
 * await using connection = await connecting;
 * ```
 */
export async function connectUnix(
  options: ConnectUnixOptions,
): Promise<Connection> {
  const { path, timeout = 10_000, signal } = options;
  checkPath("Cannot connect", path);
  checkStreamOptions(options);
  const what = `Cannot connect to ${unixAddress(path)}`;
  using end = deadline(what, { signal, timeout });
  return await retrying(
    () => connectOnce(options, what, end.signal),
    (error) =>
      error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.ConnectionRefused ||
      error instanceof Deno.errors.WouldBlock,
    options.retry,
    end.signal,
  );
}

async function connectOnce(
  options: ConnectUnixOptions,
  what: string,
  signal: AbortSignal,
): Promise<Connection> {
  const { path } = options;
  const open = () =>
    Deno.connect({ transport: "unix", path: systemPath(path) });
  let fd: number | undefined;
  let opened: Promise<Deno.UnixConn>;
  if (hasLibc()) ({ opened, fd } = watchUnixConnect(open));
  else opened = open();
  let conn: Deno.UnixConn;
  try {
    conn = await within(opened, what, { signal });
  } catch (error) {
    opened.then((late) => late.close(), () => {});
    throw explain(error, what);
  }
  const connection = new ByteConnection(conn, {
    ...options,
    local: "unix:",
    remote: unixAddress(path),
  });
  setDescriptor(connection, fd);
  return connection;
}

const REASONS: readonly [
  new (message: string, options?: ErrorOptions) => Error,
  string,
][] = [
  [Deno.errors.NotFound, "there is no such socket, is the server running?"],
  [Deno.errors.ConnectionRefused, "nothing listens there, the file is stale"],
  [Deno.errors.PermissionDenied, "the file's mode forbids it"],
  [Deno.errors.WouldBlock, "the server's backlog is full"],
];

/** The same class of error, with the call and the path in its message. */
function explain(error: unknown, what: string): unknown {
  for (const [ErrorClass, reason] of REASONS) {
    if (error instanceof ErrorClass) {
      return new ErrorClass(`${what}: ${reason}`, { cause: error });
    }
  }
  return error;
}
