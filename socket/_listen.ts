// Listening on a Unix socket, for those that use it under another address too.

import type { Connection } from "../duplex.ts";
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
import { socketIo } from "../_transport/socket_io.ts";
import { checkAllow, denial } from "./_allow.ts";
import { bindPath, type BoundPath } from "./_bind.ts";
import { checkPath, isAbstract, systemPath } from "./_path.ts";
import type { AllowPeer, PeerDeniedError } from "./peer.ts";

/** Options of `listenUnix`. */
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
   * (mode with `o+w` and no sticky bit, its own or of one above).
   *
   * @default {false}
   */
  allowUnsafeDirectory?: boolean;
  /** Ends the start: it rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Listens on the socket at `options.path`; errors tell of `address`. */
export async function listenAs(
  options: ListenUnixOptions,
  address: string,
): Promise<AcceptListener> {
  const { path, mode = 0o600, backlog, allowUnsafeDirectory = false } = options;
  checkPath("Cannot listen on", path, address);
  checkInteger("mode", mode, 0, 0o777);
  if (backlog !== undefined) checkInteger("backlog", backlog, 1, 2 ** 31 - 1);
  checkStreamOptions(options);
  options.signal?.throwIfAborted();
  const allow = options.allow ??
    (isAbstract(path) && hasLibc() ? "same-user" : undefined);
  if (allow !== undefined) {
    checkAllow(allow);
    libc(`check who connects to ${address}`);
  }

  const bound = isAbstract(path)
    ? bindAbstract(path, address)
    : await bindPath(path, address, mode, allowUnsafeDirectory, options.signal);
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
        : socketIo(conn, fd);
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
    keepAlive: (on) => on ? bound.listener.ref() : bound.listener.unref(),
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

function bindAbstract(path: string, address: string): BoundPath {
  const boundPath = systemPath(path);
  let listener: Deno.UnixListener;
  try {
    listener = Deno.listen({ transport: "unix", path: boundPath });
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new Deno.errors.AddrInUse(
      `Cannot listen on ${address}: another process listens there, ` +
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
