// `node:net` adopts a descriptor into the event loop, which Deno's own API can't.

import type { Socket } from "node:net";
import { namedError } from "../_libc/errno.ts";
import { nodeNet } from "../_transport/node_net.ts";

/** The socket of `node:net`, which is loaded on first use. */
export function loadSocket(): Promise<typeof Socket> {
  return Promise.resolve(nodeNet().Socket);
}

/** The `Deno.errors` instance of an error that `node:net` reports. */
export function fromNode(error: unknown, what: string): Error {
  const { code, syscall } = error as { code?: string; syscall?: string };
  if (code === undefined) return error as Error;
  if (code === "ECANCELED" || code.startsWith("ERR_")) {
    return new Deno.errors.BadResource(`${what}: it was closed`);
  }
  return namedError(what, syscall ?? "write", code);
}
