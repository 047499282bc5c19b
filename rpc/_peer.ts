// Who is at the other side, as far as the transport knows.

import type { Connection, Duplex } from "../duplex.ts";
import type { CallerCredentials, Peer } from "./peer.ts";

type ReadCredentials = (connection: Connection) => CallerCredentials;

/** What the transport tells, where it is a `Connection`. */
export function describePeer(
  duplex: Duplex & Partial<Connection>,
  read: ReadCredentials | undefined,
): Peer {
  const { remote } = duplex;
  const address = typeof remote === "string" ? remote : undefined;
  let known: { credentials: CallerCredentials | undefined } | undefined;
  return {
    address,
    get credentials() {
      if (address === undefined || read === undefined) return undefined;
      if (known === undefined) {
        try {
          known = { credentials: read(duplex as Connection) };
        } catch { // a transport that has none, or a permission is missing
          known = { credentials: undefined };
        }
      }
      return known.credentials;
    },
  };
}
