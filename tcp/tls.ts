import type { Connection, WaitOptions } from "../duplex.ts";
import { checkString } from "../_async/check.ts";
import { checkTimeout, deadline, within } from "../_async/wait.ts";
import {
  HandshakeAcceptor,
  type UnshakenListener,
} from "../_transport/handshakes.ts";
import { retrying, type RetryOptions } from "../_transport/retry.ts";
import { bareHost, checkHost, explain, netAddress } from "./_address.ts";
import {
  checkTcpOptions,
  checkTcpPermission,
  tcpConnection,
} from "./_apply.ts";
import { isTransient } from "./connect.ts";
import { bindTcp, BoundListener } from "./_bind.ts";
import { readCertificate, setTlsDetails } from "./_tls_details.ts";
import type {
  ListenTcpOptions,
  TcpListener,
  TcpStreamOptions,
} from "./options.ts";

/** Clients that shake hands or wait for `accept`; more wait in the backlog. */
const MAX_PENDING = 64;

/** Options of {@linkcode listenTls}. */
export interface ListenTlsOptions extends ListenTcpOptions {
  /** The server's certificate chain, PEM. */
  cert: string;
  /** Its private key, PEM. */
  key: string;
  /**
   * Certificates that sign those of clients, PEM. Then each client has to show
   * one that they signed, or its handshake fails; `tlsDetails` tells
   * which. Without them, no client is asked for one.
   */
  clientCaCerts?: string[];
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
 * `noDelay` takes effect where `--allow-ffi` is given, as the runtime has no call
 * for it on TLS. With `clientCaCerts` the engine is that of `node:tls`, as the
 * runtime's own can't ask for certificates: it moves fewer bytes per second.
 * Without them the program does not end before the listener is closed: `unref` of
 * `Deno.TlsListener` does nothing, and handshakes go on while nobody accepts.
 *
 * Requires `--allow-net` for the host and port.
 *
 * @param options Where to listen, certificate and key.
 * @returns The listener; closing it leaves accepted connections open.
 * @throws {Deno.errors.AddrInUse} If the port is taken.
 * @throws {Deno.errors.InvalidData} If certificate or key are no PEM.
 * @throws {TypeError} If `clientCaCerts` is empty.
 * @throws {Deno.errors.NotSupported} With `reusePort` without `--unstable-net`.
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
export async function listenTls(
  options: ListenTlsOptions,
): Promise<TcpListener> {
  const { cert, key, handshakeTimeout = 10_000 } = options;
  checkString("cert", cert);
  checkString("key", key);
  checkTimeout("handshakeTimeout", handshakeTimeout);
  checkTcpOptions(options);
  checkTcpPermission(options);
  const { listener, addr } = options.clientCaCerts === undefined
    ? await bindTls(options)
    : await bindMutualTls(options, options.clientCaCerts);
  return new BoundListener(
    "tls",
    addr,
    new HandshakeAcceptor(listener, {
      what: "Cannot accept a TLS connection: no handshake",
      timeout: handshakeTimeout,
      maxPending: MAX_PENDING,
      onError: options.onHandshakeError,
    }),
  );
}

/** A bound port whose connections have yet to shake hands. */
interface Bound {
  listener: UnshakenListener;
  addr: Deno.NetAddr;
}

async function bindTls(options: ListenTlsOptions): Promise<Bound> {
  const { cert, key, alpnProtocols } = options;
  const listener = await bindTcp(
    "tls",
    options,
    (where) => Deno.listenTls({ ...where, cert, key, alpnProtocols }),
  );
  return {
    addr: listener.addr as Deno.NetAddr,
    listener: {
      close: () => listener.close(),
      async accept() {
        const conn = await listener.accept();
        return {
          close: () => conn.close(),
          handshake: async () => {
            const { alpnProtocol } = await conn.handshake();
            return setTlsDetails(tcpConnection(conn, "tls", options), {
              alpnProtocol: alpnProtocol ?? undefined,
              peerCertificate: undefined,
            });
          },
        };
      },
    },
  };
}

async function bindMutualTls(
  options: ListenTlsOptions,
  clientCaCerts: readonly string[],
): Promise<Bound> {
  if (!Array.isArray(clientCaCerts) || clientCaCerts.length === 0) {
    throw new TypeError(
      "Invalid clientCaCerts: expected at least one certificate, PEM",
    );
  }
  const { checkCertificates, MutualTlsConn } = await import(
    "./_mutual_tls.ts"
  );
  const parts = { ...options, clientCaCerts };
  const listener = await bindTcp<Deno.TcpListener>("tls", options, (where) => {
    checkCertificates(parts);
    return Deno.listen(where);
  });
  return {
    addr: listener.addr as Deno.NetAddr,
    listener: {
      close: () => listener.close(),
      keepAlive: (on) => on ? listener.ref() : listener.unref(),
      async accept() {
        const conn = new MutualTlsConn(await listener.accept(), parts);
        return {
          close: () => conn.close(),
          handshake: async () => {
            const tls = await conn.handshake();
            return setTlsDetails(tcpConnection(conn, "tls", options), {
              alpnProtocol: tls.alpnProtocol || undefined,
              peerCertificate: readCertificate(tls.getPeerCertificate()),
            });
          },
        };
      },
    },
  };
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
 * @throws {Deno.errors.UnexpectedEof} If the peer closes during the handshake.
 * @throws {Deno.errors.ConnectionReset} If it was gone before, or resets.
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
  const { cert, key } = options;
  checkHost(hostname, port, 1);
  checkTcpOptions(options);
  checkTcpPermission(options);
  if ((cert === undefined) !== (key === undefined)) {
    throw new TypeError(
      `Cannot connect with a client certificate: ` +
        `${cert === undefined ? "cert" : "key"} is missing`,
    );
  }
  const what = `Cannot connect to ${
    netAddress("tls", { hostname: bareHost(hostname), port })
  }`;
  using end = deadline(what, { signal, timeout });
  return await retrying(
    async () => {
      let conn: Deno.TlsConn | undefined;
      try {
        conn = await open(options, what, end.signal);
        const { alpnProtocol } = await within(conn.handshake(), what, {
          signal: end.signal,
        });
        return setTlsDetails(tcpConnection(conn, "tls", options), {
          alpnProtocol: alpnProtocol ?? undefined,
          peerCertificate: undefined,
        });
      } catch (error) {
        try {
          conn?.close();
        } catch { // closed by what failed
        }
        end.signal.throwIfAborted();
        throw explain(error, what);
      }
    },
    isTransient,
    options.retry,
    end.signal,
  );
}

/** A TLS connection whose handshake may still be going on. */
async function open(
  { hostname = "127.0.0.1", port, ...options }: ConnectTlsOptions,
  what: string,
  signal: AbortSignal,
): Promise<Deno.TlsConn> {
  const where = { hostname: bareHost(hostname), port };
  const { caCerts, alpnProtocols, cert, key } = options;
  if (cert === undefined || key === undefined) {
    const conn = await Deno.connect({ ...where, signal });
    return await Deno.startTls(conn, {
      hostname: where.hostname,
      caCerts,
      alpnProtocols,
    });
  }
  // It can't be told to stop, and startTls takes no client certificate.
  const opened = Deno.connectTls({
    ...where,
    caCerts,
    alpnProtocols,
    cert,
    key,
  });
  try {
    return await within(opened, what, { signal });
  } catch (error) {
    opened.then((late) => late.close()).catch(() => {});
    throw error;
  }
}
