// Reads socket options back from the kernel.

import type { Connection } from "../duplex.ts";
import { findInet, integerOption } from "../_libc/descriptor.ts";

/** An integer option of a TCP or TLS connection. */
export function socketOption(
  connection: Connection,
  level: number,
  name: number,
): number {
  const fd = findInet(parse(connection.local), parse(connection.remote));
  if (fd === undefined) throw new Error(`no descriptor of ${connection.local}`);
  return Number(integerOption(fd, level, name));
}

function parse(address: string): Deno.NetAddr {
  const [, hostname, port] = /^\w+:\[?(.+?)\]?:(\d+)$/.exec(address)!;
  return { transport: "tcp", hostname, port: Number(port) };
}
