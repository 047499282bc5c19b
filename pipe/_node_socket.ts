// `node:net` adopts a descriptor into the event loop, which Deno's own API can't.

import type { Socket } from "node:net";
import { namedError } from "../_libc/errno.ts";

/** Loads `node:net` on first use: it takes some 25 ms. */
export async function loadSocket(): Promise<typeof Socket> {
  return (await import("node:net")).Socket;
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
