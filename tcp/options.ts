import type { Listener } from "../duplex.ts";
import type { ByteStreamOptions } from "../_transport/options.ts";

/** Probes of an idle connection, to learn that the peer's host is gone. */
export interface KeepAliveOptions {
  /**
   * Idle time before the first probe, in milliseconds, rounded up to seconds.
   * Needs `--allow-ffi`, as do the other two.
   */
  idle?: number;
  /** Time between probes, in milliseconds, rounded up to seconds. */
  interval?: number;
  /** Probes without an answer before the connection counts as lost. */
  count?: number;
}

/** What each TCP connection can be told, on either side. */
export interface TcpStreamOptions extends ByteStreamOptions {
  /**
   * Whether to send small writes at once (`TCP_NODELAY`) rather than to collect
   * them (Nagle's algorithm).
   *
   * @default {true}
   */
  noDelay?: boolean;
  /**
   * Whether to probe an idle connection; an object says how. What it leaves out
   * is the system's (Linux: 2 hours, 75 seconds, 9 probes; tcp(7)).
   *
   * @default {false}
   */
  keepAlive?: boolean | KeepAliveOptions;
  /**
   * The kernel's send buffer in bytes (`SO_SNDBUF`; Linux doubles it and caps
   * it at `/proc/sys/net/core/wmem_max`). Needs `--allow-ffi`.
   */
  sendBufferSize?: number;
  /**
   * The kernel's receive buffer in bytes (`SO_RCVBUF`; Linux doubles it and caps
   * it at `/proc/sys/net/core/rmem_max`). Needs `--allow-ffi`.
   */
  receiveBufferSize?: number;
  /**
   * How long `close` waits for the peer's end after it sent its own, in
   * milliseconds. Freeing a connection over bytes that were not read makes TCP
   * send a reset, which can destroy what the peer has not read yet.
   *
   * @default {250}
   */
  lingerTimeout?: number;
}

/** Options of `listenTcp`. */
export interface ListenTcpOptions extends TcpStreamOptions {
  /**
   * The port; 0 takes a free one, which the listener's `port` tells.
   *
   * @default {0}
   */
  port?: number;
  /**
   * The address to listen at: by default this machine's programs only. `"::"`
   * takes IPv6 and, on Linux, IPv4; `"0.0.0.0"` every IPv4 interface.
   *
   * @default {"127.0.0.1"}
   */
  hostname?: string;
  /**
   * How many connections the kernel holds until they are accepted, capped by
   * `/proc/sys/net/core/somaxconn`.
   *
   * @default {511}
   */
  backlog?: number;
  /**
   * Whether other processes of the same user may listen at the same port, the
   * kernel sharing connections out (`SO_REUSEPORT`, Linux and macOS). Needs
   * `--unstable-net`, as Deno's own is unstable.
   *
   * @default {false}
   */
  reusePort?: boolean;
}

/** A {@linkcode Listener} that tells its host and port. */
export interface TcpListener extends Listener {
  /** The address it is bound to. */
  readonly hostname: string;
  /** The port it is bound to, also where 0 was asked for. */
  readonly port: number;
}

/** A certificate that a TLS peer has shown and that was verified. */
export interface TlsCertificate {
  /** The common name (CN) of its subject, if any. */
  readonly commonName: string | undefined;
  /** Its alternative names, such as `"DNS:worker-1, IP Address:10.0.0.7"`. */
  readonly subjectAltName: string | undefined;
  /** SHA-256 of `raw`, in hex without colons: what one pins. */
  readonly fingerprint256: string;
  /** The certificate itself (DER). */
  readonly raw: Uint8Array;
}

/** What the handshake of a TLS connection has agreed on. */
export interface TlsDetails {
  /** The application protocol (ALPN), if both offer one. */
  readonly alpnProtocol: string | undefined;
  /** The client's certificate, on a listener with `clientCaCerts`. */
  readonly peerCertificate: TlsCertificate | undefined;
}
