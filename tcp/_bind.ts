// Binding a TCP port, for TCP and TLS alike.

import { checkInteger } from "../_async/check.ts";
import { AcceptListener } from "../_transport/listener.ts";
import { bareHost, checkHost, explain, netAddress } from "./_address.ts";
import type { ListenTcpOptions, TcpListener } from "./options.ts";

/** A {@linkcode TcpListener} over what the runtime bound. */
export class BoundListener extends AcceptListener implements TcpListener {
  readonly hostname: string;
  readonly port: number;

  constructor(
    scheme: "tcp" | "tls",
    addr: Deno.NetAddr,
    acceptor: ConstructorParameters<typeof AcceptListener>[1],
  ) {
    super(netAddress(scheme, addr), acceptor);
    this.hostname = addr.hostname;
    this.port = addr.port;
  }
}

/** Binds by `listen`, with errors that name the address. */
export async function bindTcp<L>(
  scheme: "tcp" | "tls",
  options: ListenTcpOptions,
  listen: (options: Deno.TcpListenOptions) => L | Promise<L>,
): Promise<L> {
  const { hostname = "127.0.0.1", port = 0, backlog = 511, reusePort = false } =
    options;
  checkHost(hostname, port, 0);
  checkInteger("backlog", backlog, 1, 2 ** 31 - 1);
  const host = bareHost(hostname);
  const what = `Cannot listen on ${
    netAddress(scheme, { hostname: host, port })
  }`;
  // Without the flag the runtime would end the program. It shows this name with it.
  if (reusePort && !("listenDatagram" in Deno)) {
    throw new Deno.errors.NotSupported(
      `${what}: reusePort is unstable in Deno, run again with --unstable-net`,
    );
  }
  try {
    return await listen({
      hostname: host,
      port,
      reusePort,
      tcpBacklog: backlog,
    });
  } catch (error) {
    throw explain(error, what);
  }
}
