// What `measure` and its peer process agree on.

import type { ListenTlsOptions } from "./tcp/tls.ts";

/** The peer's one argument, as JSON. */
export interface PeerTask {
  address: string;
  tls?: Pick<ListenTlsOptions, "cert" | "key">;
}

/** The first byte of a connection: what the peer does with the rest. */
export const ECHO = 1;
/** The peer counts the bytes up to the end, then answers with the count. */
export const COUNT = 2;
