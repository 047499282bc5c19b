import type { Connection, WaitOptions } from "../duplex.ts";
import type { ByteStreamOptions } from "../_transport/options.ts";
import type { RetryOptions } from "../_transport/retry.ts";
import { connectAs } from "./_connect.ts";
import { unixAddress } from "./_path.ts";

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
 * @throws {Deno.errors.ConnectionReset} If the server stops listening meanwhile.
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
  return await connectAs(options, unixAddress(options.path));
}
