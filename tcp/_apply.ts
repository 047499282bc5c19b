// Checks TCP options and applies them to an open connection.

import { checkInteger } from "../_async/check.ts";
import {
  IPPROTO_TCP,
  SO_KEEPALIVE,
  SO_RCVBUF,
  SO_SNDBUF,
  SOL_SOCKET,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
} from "../_libc/constants.ts";
import { findInet, setDescriptor } from "../_libc/descriptor.ts";
import { unwrap } from "../_libc/errno.ts";
import { hasLibc, libc } from "../_libc/library.ts";
import { ByteConnection } from "../_transport/connection.ts";
import { checkStreamOptions } from "../_transport/options.ts";
import { netAddress } from "./_address.ts";
import type { MutualTlsConn } from "./_mutual_tls.ts";
import type { TcpStreamOptions } from "./options.ts";

/** How long `close` waits for the peer's end, in ms. */
const LINGER_TIMEOUT = 250;

/** Throws where an option is out of range. */
export function checkTcpOptions(options: TcpStreamOptions): void {
  checkStreamOptions(options);
  const { keepAlive, sendBufferSize, receiveBufferSize, lingerTimeout } =
    options;
  if (sendBufferSize !== undefined) {
    checkInteger("sendBufferSize", sendBufferSize, 1, 2 ** 30);
  }
  if (receiveBufferSize !== undefined) {
    checkInteger("receiveBufferSize", receiveBufferSize, 1, 2 ** 30);
  }
  if (lingerTimeout !== undefined) {
    checkInteger("lingerTimeout", lingerTimeout, 0, 2 ** 31 - 1);
  }
  if (typeof keepAlive !== "object") return;
  const { idle, interval, count } = keepAlive;
  if (idle !== undefined) {
    checkInteger("keepAlive.idle", idle, 1, 32_767_000);
  }
  if (interval !== undefined) {
    checkInteger("keepAlive.interval", interval, 1, 32_767_000);
  }
  if (count !== undefined) checkInteger("keepAlive.count", count, 1, 127);
}

/** Whether an option takes a socket option that the runtime does not offer. */
function needsDescriptor(options: TcpStreamOptions): boolean {
  return options.sendBufferSize !== undefined ||
    options.receiveBufferSize !== undefined ||
    typeof options.keepAlive === "object" &&
      Object.values(options.keepAlive).some((value) => value !== undefined);
}

/** Throws now where a later connection would lack `--allow-ffi`. */
export function checkTcpPermission(options: TcpStreamOptions): void {
  if (needsDescriptor(options)) libc("set socket options of a TCP connection");
}

/** Applies the options and wraps the connection; closes it where that fails. */
export function tcpConnection(
  conn: Deno.TcpConn | Deno.TlsConn | MutualTlsConn,
  scheme: "tcp" | "tls",
  options: TcpStreamOptions,
): ByteConnection {
  const local = conn.localAddr as Deno.NetAddr;
  const remote = conn.remoteAddr as Deno.NetAddr;
  try {
    if ("setNoDelay" in conn) {
      conn.setNoDelay(options.noDelay ?? true);
      conn.setKeepAlive(!!options.keepAlive);
    }
    // The runtime has no setNoDelay on TLS.
    const wanted = needsDescriptor(options) || scheme === "tls" && hasLibc();
    const fd = wanted ? findInet(local, remote) : undefined;
    if (fd !== undefined) {
      setSocketOptions(fd, options, netAddress(scheme, remote));
    } else if (needsDescriptor(options)) {
      throw new Deno.errors.NotConnected(
        `Cannot set socket options of ${netAddress(scheme, remote)}: ` +
          `the peer is gone`,
      );
    }
    const connection = new ByteConnection(conn, {
      ...options,
      lingerTimeout: options.lingerTimeout ?? LINGER_TIMEOUT,
      local: netAddress(scheme, local),
      remote: netAddress(scheme, remote),
    });
    setDescriptor(connection, fd);
    return connection;
  } catch (error) {
    conn.close();
    throw error;
  }
}

/**
 * Accepts and applies the options; `undefined` for a peer that was gone before
 * it was accepted, which says nothing of the next one.
 */
export async function acceptTcp(
  listener: Deno.TcpListener,
  options: TcpStreamOptions,
): Promise<ByteConnection | undefined> {
  try {
    return tcpConnection(await listener.accept(), "tcp", options);
  } catch (error) {
    if (
      error instanceof Deno.errors.NotConnected ||
      error instanceof Deno.errors.ConnectionReset ||
      error instanceof Deno.errors.ConnectionAborted
    ) return undefined;
    throw error;
  }
}

function setSocketOptions(
  fd: number,
  options: TcpStreamOptions,
  address: string,
): void {
  const lib = libc("set socket options");
  const set = (name: string, level: number, option: number, value: number) =>
    unwrap(
      lib.setsockopt?.(
        fd,
        level,
        option,
        new Uint8Array(new Int32Array([value]).buffer),
        4,
      ) ?? -1,
      `Cannot set ${name} of ${address} to ${value}`,
      "setsockopt",
    );
  const { sendBufferSize, receiveBufferSize, keepAlive } = options;
  set("noDelay", IPPROTO_TCP, TCP_NODELAY, Number(options.noDelay ?? true));
  if (sendBufferSize !== undefined) {
    set("sendBufferSize", SOL_SOCKET, SO_SNDBUF, sendBufferSize);
  }
  if (receiveBufferSize !== undefined) {
    set("receiveBufferSize", SOL_SOCKET, SO_RCVBUF, receiveBufferSize);
  }
  set("keepAlive", SOL_SOCKET, SO_KEEPALIVE, Number(!!keepAlive));
  if (typeof keepAlive !== "object") return;
  const { idle, interval, count } = keepAlive;
  const seconds = (milliseconds: number) => Math.ceil(milliseconds / 1000);
  if (idle !== undefined) {
    set("keepAlive.idle", IPPROTO_TCP, TCP_KEEPIDLE, seconds(idle));
  }
  if (interval !== undefined) {
    set("keepAlive.interval", IPPROTO_TCP, TCP_KEEPINTVL, seconds(interval));
  }
  if (count !== undefined) {
    set("keepAlive.count", IPPROTO_TCP, TCP_KEEPCNT, count);
  }
}
