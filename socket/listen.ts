import type { Listener } from "../duplex.ts";
import { listenAs, type ListenUnixOptions } from "./_listen.ts";
import { unixAddress } from "./_path.ts";

export type { ListenUnixOptions } from "./_listen.ts";

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
 * @throws {Deno.errors.PermissionDenied} If any user can write to the directory,
 * or one above it that may be read, and it has no sticky bit.
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
