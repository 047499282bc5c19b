import type { Listener } from "../duplex.ts";
import type { ByteStreamOptions } from "../_transport/options.ts";
import { listenAs } from "./_listen.ts";
import { unixAddress } from "./_path.ts";
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
  return await listenAs(options, unixAddress(options.path));
}
