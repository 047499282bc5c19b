import type { Connection, WaitOptions } from "../duplex.ts";
import { deadline } from "../_async/wait.ts";
import { retrying, type RetryOptions } from "../_transport/retry.ts";
import { bareHost, checkHost, explain, netAddress } from "./_address.ts";
import {
  checkTcpOptions,
  checkTcpPermission,
  tcpConnection,
} from "./_apply.ts";
import type { TcpStreamOptions } from "./options.ts";

/** Options of {@linkcode connectTcp}. */
export interface ConnectTcpOptions extends WaitOptions, TcpStreamOptions {
  /** The port to connect to. */
  port: number;
  /**
   * A name, an IPv4 or an IPv6 address. Of a name with both families, the first
   * that answers is taken (RFC 8305).
   *
   * @default {"127.0.0.1"}
   */
  hostname?: string;
  /**
   * The longest time for all tries together, in milliseconds.
   *
   * @default {10000}
   */
  timeout?: number;
  /**
   * Whether to try again while the port refuses: `true` for the defaults of
   * {@linkcode RetryOptions}.
   *
   * @default {false}
   */
  retry?: RetryOptions | boolean;
}

/**
 * Connects to a TCP port.
 *
 * Requires `--allow-net` for the host and port, and `--allow-ffi` for buffer
 * sizes and keep-alive times.
 *
 * @param options Host, port, and what bounds the wait.
 * @returns The open connection.
 * @throws {Deno.errors.ConnectionRefused} If nothing listens at the port.
 * @throws {Deno.errors.NotFound} If the host name does not resolve.
 * @throws {DOMException} `TimeoutError`, if it takes longer than `timeout`.
 * @throws {RangeError} If an option is out of range.
 *
 * @example A bounded wait
 * ```ts
 * import { connectTcp, listenTcp } from "@sluice/ipc/tcp";
 * import { assertEquals } from "@std/assert";
 *
 * await using listener = await listenTcp({ hostname: "127.0.0.1" });
 * await using connection = await connectTcp({
 *   port: listener.port,
 *   timeout: 2_000,
 *   retry: { retries: 3 },
 * });
 * await using accepted = await listener.accept();
 * assertEquals(connection.remote, listener.address);
 * ```
 */
export async function connectTcp(
  options: ConnectTcpOptions,
): Promise<Connection> {
  const { hostname = "127.0.0.1", port, timeout = 10_000, signal } = options;
  checkHost(hostname, port, 1);
  checkTcpOptions(options);
  checkTcpPermission(options);
  const address = netAddress("tcp", { hostname: bareHost(hostname), port });
  const what = `Cannot connect to ${address}`;
  using end = deadline(what, { signal, timeout });
  return await retrying(
    async () => {
      try {
        const conn = await Deno.connect({
          hostname: bareHost(hostname),
          port,
          signal: end.signal,
        });
        return tcpConnection(conn, "tcp", options);
      } catch (error) {
        end.signal.throwIfAborted(); // the reason, not the runtime's own error
        throw explain(error, what);
      }
    },
    isTransient,
    options.retry,
    end.signal,
  );
}

/** Whether a server that is just starting may explain the error. */
export function isTransient(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionRefused ||
    error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.UnexpectedEof ||
    error instanceof Deno.errors.TimedOut;
}
