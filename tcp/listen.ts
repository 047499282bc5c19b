import { acceptTcp, checkTcpOptions, checkTcpPermission } from "./_apply.ts";
import { findInetListener } from "../_libc/descriptor.ts";
import { bindTcp, BoundListener } from "./_bind.ts";
import type { ListenTcpOptions, TcpListener } from "./options.ts";

/**
 * Listens on a TCP port.
 *
 * Requires `--allow-net` for the host and port, and `--allow-ffi` for buffer
 * sizes and keep-alive times.
 *
 * @param options Where to listen and what each connection gets.
 * @returns The listener; closing it leaves accepted connections open.
 * @throws {Deno.errors.AddrInUse} If the port is taken.
 * @throws {Deno.errors.AddrNotAvailable} If the address is not this machine's.
 * @throws {Deno.errors.NotSupported} With `reusePort` without `--unstable-net`.
 * @throws {RangeError} If an option is out of range.
 *
 * @example A free port
 * ```ts
 * import { listenTcp } from "@sluice/ipc/tcp";
 * import { assert } from "@std/assert";
 *
 * await using listener = await listenTcp({ hostname: "127.0.0.1" });
 * assert(listener.port > 0);
 * ```
 */
export async function listenTcp(
  options: ListenTcpOptions = {},
): Promise<TcpListener> {
  checkTcpOptions(options);
  checkTcpPermission(options);
  const listener = await bindTcp<Deno.TcpListener>(
    "tcp",
    options,
    (where) => Deno.listen(where),
  );
  return new BoundListener("tcp", listener.addr as Deno.NetAddr, {
    accept: () => acceptTcp(listener, options),
    close: () => listener.close(),
    keepAlive: (on) => on ? listener.ref() : listener.unref(),
    descriptor: () => findInetListener(listener.addr as Deno.NetAddr),
    retire() {
      listener.close();
      return [];
    },
  });
}
