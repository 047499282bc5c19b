import type { Connection } from "../duplex.ts";
import { details } from "./_tls_details.ts";

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

/**
 * What the handshake of a TLS connection has agreed on, and who the client is
 * where the listener asked for its certificate.
 *
 * Needs no permission.
 *
 * @param connection What `connectTls` or a listener of `listenTls` gave.
 * @returns The protocol and the peer's certificate.
 * @throws {TypeError} If it is no TLS connection of this package.
 *
 * @example Who is there
 * ```ts ignore
 * import { listenTls, tlsDetails } from "@sluice/ipc/tcp";
 *
 * await using listener = await listenTls({
 *   port: 8443,
 *   cert: await Deno.readTextFile("cert.pem"),
 *   key: await Deno.readTextFile("key.pem"),
 *   clientCaCerts: [await Deno.readTextFile("clients-ca.pem")],
 * });
 * for await (const connection of listener) {
 *   console.log(tlsDetails(connection).peerCertificate?.commonName);
 *   await connection.close();
 * }
 * ```
 */
export function tlsDetails(connection: Connection): TlsDetails {
  const told = details.get(connection);
  if (told === undefined) {
    throw new TypeError(
      `Cannot tell TLS details: ${connection.remote} is no TLS connection of ` +
        `this package`,
    );
  }
  return told;
}
