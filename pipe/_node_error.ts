import { namedError } from "../_libc/errno.ts";

/** The `Deno.errors` instance of an error that `node:net` reports. */
export function fromNode(error: unknown, what: string): Error {
  const { code, syscall } = error as { code?: string; syscall?: string };
  if (code === undefined) return error as Error;
  if (code === "ECANCELED" || code.startsWith("ERR_")) {
    return new Deno.errors.BadResource(`${what}: it was closed`);
  }
  return namedError(what, syscall ?? "write", code);
}
