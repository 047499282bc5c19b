import type { Connection } from "../duplex.ts";
import { details } from "./_tls_details.ts";
import type { TlsDetails } from "./options.ts";

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
