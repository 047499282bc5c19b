// TCP addresses as users write them, and their errors.

import { checkInteger, checkString } from "../_async/check.ts";

/** `tcp:127.0.0.1:80` or `tcp:[::1]:80`. */
export function netAddress(
  scheme: "tcp" | "tls",
  { hostname, port }: { hostname: string; port: number },
): string {
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return `${scheme}:${host}:${port}`;
}

/** Throws where host or port is none. */
export function checkHost(hostname: string, port: number, min: 0 | 1): void {
  checkString("hostname", hostname);
  checkInteger("port", port, min, 65535);
}

/** An IPv6 address without its brackets, as the runtime takes it. */
export function bareHost(hostname: string): string {
  return hostname.startsWith("[") && hostname.endsWith("]")
    ? hostname.slice(1, -1)
    : hostname;
}

const REASONS: readonly [
  new (message: string, options?: ErrorOptions) => Error,
  string,
][] = [
  [Deno.errors.ConnectionRefused, "nothing listens there"],
  [Deno.errors.AddrInUse, "another process listens there, use another port"],
  [Deno.errors.AddrNotAvailable, "this machine has no such address"],
  [Deno.errors.PermissionDenied, "permission denied by the system"],
  [Deno.errors.TimedOut, "the host did not answer"],
  [Deno.errors.ConnectionReset, "the peer reset it"],
  [Deno.errors.UnexpectedEof, "the peer closed it during the handshake"],
];

/** What the runtime meets where a peer was gone right after it accepted. */
const GONE = [
  Deno.errors.NotConnected,
  Deno.errors.ConnectionAborted,
  Deno.errors.BrokenPipe,
];

/** What to do about what the TLS library says. */
const HINTS: readonly [text: string, hint: string][] = [
  [
    "UnknownIssuer",
    "pass who signed it, or the certificate itself, in caCerts",
  ],
  [
    "CaUsedAsEndEntity",
    "it is the certificate of an authority: make one for a server, with " +
    "basicConstraints=CA:FALSE",
  ],
  ["No certificates found", "pass the text of the PEM file and not its path"],
  ["No keys found", "pass the text of the PEM file and not its path"],
  ["InvalidContentType", "does the peer speak TLS?"],
];

/** The same class of error, with the call and the address in its message. */
export function explain(error: unknown, what: string): unknown {
  for (const [ErrorClass, reason] of REASONS) {
    if (error instanceof ErrorClass) {
      return new ErrorClass(`${what}: ${reason}`, { cause: error });
    }
  }
  if (GONE.some((ErrorClass) => error instanceof ErrorClass)) {
    return new Deno.errors.ConnectionReset(
      `${what}: the peer closed it at once`,
      { cause: error },
    );
  }
  if (
    error instanceof Error && /lookup address|dns error/i.test(error.message)
  ) {
    return new Deno.errors.NotFound(
      `${what}: the host name does not resolve`,
      { cause: error },
    );
  }
  if (error instanceof Deno.errors.InvalidData) { // certificates, handshakes
    const [, hint] = HINTS.find(([text]) => error.message.includes(text)) ?? [];
    return new Deno.errors.InvalidData(
      `${what}: ${error.message}${hint === undefined ? "" : `, ${hint}`}`,
      { cause: error },
    );
  }
  return error;
}
