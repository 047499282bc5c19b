import type { Connection, WaitOptions } from "../duplex.ts";
import { checkString } from "../_async/check.ts";
import { checkTimeout, deadline, within } from "../_async/wait.ts";
import { retrying, type RetryOptions } from "../_transport/retry.ts";
import { bareHost, checkHost, explain, netAddress } from "./_address.ts";
import {
  checkTcpOptions,
  checkTcpPermission,
  tcpConnection,
} from "./_apply.ts";
import { HandshakeAcceptor } from "./_handshakes.ts";
import { isTransient } from "./connect.ts";
import { bindTcp, BoundListener } from "./_bind.ts";
import type {
  ListenTcpOptions,
  TcpListener,
  TcpStreamOptions,
} from "./options.ts";

/** Options of {@linkcode listenTls}. */
export interface ListenTlsOptions extends ListenTcpOptions {
  /** The server's certificate chain, PEM. */
  cert: string;
  /** Its private key, PEM. */
  key: string;
  /** Application protocols to offer, the preferred first (ALPN, RFC 7301). */
  alpnProtocols?: string[];
  /**
   * How long a client may take to shake hands, in milliseconds. A slow one
   * holds up no other.
   *
   * @default {10000}
   */
  handshakeTimeout?: number;
  /** Told of each failed handshake, for the log. What it throws is dropped. */
  onHandshakeError?: (error: unknown) => void;
}

/**
 * Listens for TLS connections on a TCP port. `accept` gives connections whose
 * handshake is done.
 *
 * The runtime's listener can't ask for client certificates: to know the client,
 * authenticate it above, or put a proxy in front. `noDelay` takes effect where
 * `--allow-ffi` is given, as the runtime has no call for it on TLS.
 *
 * Requires `--allow-net` for the host and port.
 *
 * @param options Where to listen, certificate and key.
 * @returns The listener; closing it leaves accepted connections open.
 * @throws {Deno.errors.AddrInUse} If the port is taken.
 * @throws {Deno.errors.InvalidData} If certificate or key are no PEM.
 * @throws {RangeError} If an option is out of range.
 *
 * @example Offering TLS
 * ```ts no-assert ignore
 * import { listenTls } from "@sluice/ipc/tcp";
 *
 * await using listener = await listenTls({
 *   port: 8443,
 *   cert: await Deno.readTextFile("cert.pem"),
 *   key: await Deno.readTextFile("key.pem"),
 * });
 * for await (const connection of listener) await connection.close();
 * ```
 */
export function listenTls(options: ListenTlsOptions): Promise<TcpListener> {
  return Promise.resolve().then(() => {
    const { cert, key, alpnProtocols, handshakeTimeout = 10_000 } = options;
    checkString("cert", cert);
    checkString("key", key);
    checkTimeout("handshakeTimeout", handshakeTimeout);
    checkTcpOptions(options);
    checkTcpPermission(options);
    const listener = bindTcp(
      "tls",
      options,
      (where) => Deno.listenTls({ ...where, cert, key, alpnProtocols }),
    );
    return new BoundListener(
      "tls",
      listener.addr as Deno.NetAddr,
      new HandshakeAcceptor(
        listener,
        handshakeTimeout,
        (conn) => tcpConnection(conn, "tls", options),
        options.onHandshakeError,
      ),
    );
  });
}

/** Options of {@linkcode connectTls}. */
export interface ConnectTlsOptions extends WaitOptions, TcpStreamOptions {
  /** The port to connect to. */
  port: number;
  /**
   * The host, which the server's certificate has to name.
   *
   * @default {"127.0.0.1"}
   */
  hostname?: string;
  /** Certificates to trust beside the system's roots, PEM. */
  caCerts?: string[];
  /** This client's certificate chain, PEM, for a server that asks for one. */
  cert?: string;
  /** The private key of `cert`, PEM. */
  key?: string;
  /** Application protocols to offer, the preferred first (ALPN, RFC 7301). */
  alpnProtocols?: string[];
  /**
   * The longest time for all tries together, handshake included, in
   * milliseconds.
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
 * Connects to a TLS server and verifies its certificate before it resolves.
 *
 * Requires `--allow-net` for the host and port.
 *
 * @param options Host, port, whom to trust, and what bounds the wait.
 * @returns The open connection, its handshake done.
 * @throws {Deno.errors.InvalidData} If the certificate is not valid for the
 * host or not signed by a trusted root.
 * @throws {Deno.errors.ConnectionRefused} If nothing listens at the port.
 * @throws {DOMException} `TimeoutError`, if it takes longer than `timeout`.
 * @throws {TypeError} If only one of `cert` and `key` is there.
 *
 * @example A server with a certificate of one's own
 * ```ts no-assert ignore
 * import { connectTls } from "@sluice/ipc/tcp";
 *
 * await using connection = await connectTls({
 *   hostname: "localhost",
 *   port: 8443,
 *   caCerts: [await Deno.readTextFile("ca.pem")],
 * });
 * ```
 */
export async function connectTls(
  options: ConnectTlsOptions,
): Promise<Connection> {
  const { hostname = "127.0.0.1", port, timeout = 10_000, signal } = options;
  const { cert, key, caCerts, alpnProtocols } = options;
  checkHost(hostname, port, 1);
  checkTcpOptions(options);
  checkTcpPermission(options);
  if ((cert === undefined) !== (key === undefined)) {
    throw new TypeError(
      `Cannot connect with a client certificate: ` +
        `${cert === undefined ? "cert" : "key"} is missing`,
    );
  }
  const where = { hostname: bareHost(hostname), port, caCerts, alpnProtocols };
  const what = `Cannot connect to ${netAddress("tls", where)}`;
  using end = deadline(what, { signal, timeout });
  return await retrying(
    async () => {
      const opened = Deno.connectTls(
        cert === undefined || key === undefined
          ? where
          : { ...where, cert, key },
      );
      try {
        const conn = await within(opened, what, { signal: end.signal });
        await within(conn.handshake(), what, { signal: end.signal });
        return tcpConnection(conn, "tls", options);
      } catch (error) {
        opened.then((conn) => conn.close()).catch(() => {});
        end.signal.throwIfAborted();
        throw explain(error, what);
      }
    },
    isTransient,
    options.retry,
    end.signal,
  );
}
