import type { Connection, Listener } from "../duplex.ts";
import { checkInteger } from "../_async/check.ts";
import {
  AcceptedDescriptors,
  findUnixListener,
  setDescriptor,
} from "../_libc/descriptor.ts";
import { unwrap } from "../_libc/errno.ts";
import { hasLibc, libc } from "../_libc/library.ts";
import { ByteConnection, type ByteIo } from "../_transport/connection.ts";
import { AcceptListener } from "../_transport/listener.ts";
import {
  type ByteStreamOptions,
  checkStreamOptions,
} from "../_transport/options.ts";
import { checkAllow, denial } from "./_allow.ts";
import { bindPath, type BoundPath } from "./_bind.ts";
import { checkPath, isAbstract, systemPath, unixAddress } from "./_path.ts";
import type { AllowPeer, PeerDeniedError } from "./peer.ts";

/** Options of {@linkcode listenUnix}. */
export interface ListenUnixOptions extends ByteStreamOptions {
  /** Where to listen; `"@name"` is in the abstract namespace (Linux). */
  path: string;
  /**
   * The mode of the socket's file: who may connect needs the write bit. It is
   * right from the first moment the path exists, whatever the umask.
   *
   * @default {0o600}
   */
  mode?: number;
  /**
   * How many connections the kernel holds until they are accepted, capped by
   * `/proc/sys/net/core/somaxconn`. It needs `--allow-ffi`; without a value the
   * runtime's own stands.
   */
  backlog?: number;
  /**
   * Who may connect. Others are closed before a byte is read. It needs
   * `--allow-ffi`. An abstract name has no mode, so `"same-user"` is its
   * default where FFI is allowed.
   */
  allow?: AllowPeer;
  /** Told of each peer that `allow` turned away. What it throws is dropped. */
  onDenied?: (error: PeerDeniedError) => void;
  /**
   * Whether to listen in a directory where any user may replace the socket
   * (mode with `o+w` and no sticky bit).
   *
   * @default {false}
   */
  allowUnsafeDirectory?: boolean;
  /** Ends the start: it rejects with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * Listens on a Unix socket.
 *
 * The file has its mode from the first moment that its path exists. A stale file
 * is replaced; where someone listens it is `AddrInUse`, and of several starters
 * at once exactly one succeeds (they lock `<path>.lock` for the time of the
 * start). Closing removes the file only if it is still this listener's.
 *
 * Requires `--allow-net` (the socket is made under another name first),
 * `--allow-read` and `--allow-write` for the path's directory, and `--allow-ffi` for `allow`, `backlog` and {@linkcode peerCredentials}.
 *
 * @param options The path and who may connect.
 * @returns The listener; closing it leaves accepted connections open.
 * @throws {Deno.errors.AddrInUse} If another process listens there.
 * @throws {Deno.errors.AlreadyExists} If the path is no socket.
 * @throws {Deno.errors.NotFound} If the directory does not exist.
 * @throws {Deno.errors.PermissionDenied} If any user can write to the directory
 * and it has no sticky bit.
 * @throws {Deno.errors.NotCapable} If an option needs `--allow-ffi`.
 * @throws {RangeError} If the path is longer than a socket address holds, or an
 * option is out of range.
 * @throws {Deno.errors.NotSupported} On Windows.
 *
 * @example A socket for the same user only
 * ```ts
 * import { listenUnix } from "@sluice/ipc/socket";
 * import { assertEquals } from "@std/assert";
 *
 * const path = `${await Deno.makeTempDir()}/private.sock`;
 * await using listener = await listenUnix({ path, allow: "same-user" });
 * assertEquals(listener.address, `unix:${path}`);
 * assertEquals((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
 * ```
 */
export async function listenUnix(
  options: ListenUnixOptions,
): Promise<Listener> {
  const { path, mode = 0o600, backlog, allowUnsafeDirectory = false } = options;
  checkPath("Cannot listen", path);
  checkInteger("mode", mode, 0, 0o777);
  if (backlog !== undefined) checkInteger("backlog", backlog, 1, 2 ** 31 - 1);
  checkStreamOptions(options);
  options.signal?.throwIfAborted();
  const address = unixAddress(path);
  const allow = options.allow ??
    (isAbstract(path) && hasLibc() ? "same-user" : undefined);
  if (allow !== undefined) {
    checkAllow(allow);
    libc(`check who connects to ${address}`);
  }

  const bound = isAbstract(path)
    ? bindAbstract(path)
    : await bindPath(path, mode, allowUnsafeDirectory, options.signal);
  try {
    if (backlog !== undefined) setBacklog(bound.boundPath, address, backlog);
  } catch (error) {
    await bound.release();
    throw error;
  }

  const accepted = hasLibc()
    ? new AcceptedDescriptors(bound.boundPath)
    : undefined;
  return new AcceptListener(address, {
    async accept(): Promise<Connection | undefined> {
      const conn = await bound.listener.accept();
      let fd: number | undefined;
      let error: PeerDeniedError | undefined;
      try {
        fd = accepted?.claim();
        error = allow && denial(allow, fd, address);
      } catch (thrown) { // such as no descriptor left to look with
        conn.close();
        throw thrown;
      }
      if (error !== undefined) {
        conn.close();
        accepted?.release(fd);
        try {
          options.onDenied?.(error);
        } catch { // a hook that throws must not end the listener
        }
        return undefined;
      }
      const io = accepted && Deno.build.os !== "linux"
        ? releasing(conn, () => accepted.release(fd))
        : conn;
      const connection = new ByteConnection(io, {
        ...options,
        local: address,
        remote: "unix:",
      });
      setDescriptor(connection, fd);
      return connection;
    },
    close: () => bound.release(),
    descriptor: () => findUnixListener(bound.boundPath),
    retire() {
      bound.listener.close();
      return [];
    },
  });
}

/** Linux tells sockets apart without being told that one is closed. */
function releasing(conn: Deno.UnixConn, release: () => void): ByteIo {
  return {
    read: (into) => conn.read(into),
    write: (bytes) => conn.write(bytes),
    closeWrite: () => conn.closeWrite(),
    close() {
      release();
      conn.close();
    },
  };
}

function bindAbstract(path: string): BoundPath {
  const boundPath = systemPath(path);
  let listener: Deno.UnixListener;
  try {
    listener = Deno.listen({ transport: "unix", path: boundPath });
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new Deno.errors.AddrInUse(
      `Cannot listen on ${unixAddress(path)}: another process listens there, ` +
        `stop it or use another name`,
      { cause: error },
    );
  }
  return {
    listener,
    boundPath,
    release() {
      listener.close();
      return Promise.resolve();
    },
  };
}

/** listen(2) again: the kernel takes the new length. */
function setBacklog(boundPath: string, address: string, backlog: number): void {
  const what = `Cannot set the backlog of ${address}`;
  const lib = libc(`set the backlog of ${address}`);
  const fd = findUnixListener(boundPath);
  if (fd === undefined) {
    throw new Deno.errors.NotSupported(`${what}: its descriptor is not known`);
  }
  unwrap(lib.listen?.(fd, backlog) ?? -1, what, "listen");
}
