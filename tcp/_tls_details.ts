// Where the details of TLS connections are kept.

import type { Connection } from "../duplex.ts";
import type { TlsCertificate, TlsDetails } from "./options.ts";

/** The details of each TLS connection that is alive. */
export const details = new WeakMap<Connection, TlsDetails>();

/** Remembers what the handshake told. */
export function setTlsDetails<T extends Connection>(
  connection: T,
  told: TlsDetails,
): T {
  details.set(connection, told);
  return connection;
}

/** What of `getPeerCertificate()` of node:tls is told on. */
export function readCertificate(
  { subject, subjectaltname, fingerprint256, raw }: {
    subject?: { CN?: string | string[] };
    subjectaltname?: string;
    fingerprint256: string;
    raw: Uint8Array;
  },
): TlsCertificate {
  const name = subject?.CN;
  return {
    commonName: Array.isArray(name) ? name[0] : name,
    subjectAltName: subjectaltname,
    fingerprint256: fingerprint256.replaceAll(":", "").toLowerCase(),
    raw: new Uint8Array(raw),
  };
}
