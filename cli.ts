/**
 * The command line: talk to any address without writing a program.
 *
 * ```sh
 * deno run -A jsr:@sluice/ipc/cli help
 * deno install -g -A -n sluice jsr:@sluice/ipc/cli
 * ```
 *
 * `listen` and `connect` join any two addresses, or one and this terminal;
 * `call` and `describe` are RPC clients; `shm` shows and cleans up shared memory.
 * `tap` shows what passes between two; `bench` and `choose` help to decide.
 * Exit codes: 0 done, 1 failed, 2 wrong usage, 129, 130 or 143 after SIGHUP,
 * Ctrl-C or SIGTERM.
 *
 * @module
 */

import { main as run } from "./cli/_main.ts";

/**
 * Runs the command line with `args`, on this process's standard streams.
 *
 * Needs the permissions of the addresses it is given.
 *
 * @param args The command and its arguments, as in `Deno.args`.
 * @returns The exit code: 0 done, 1 failed, 2 wrong usage, 130 after Ctrl-C.
 *
 * @example The version
 * ```ts
 * import { main } from "@sluice/ipc/cli";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(await main(["--version"]), 0);
 * ```
 */
export function main(args: readonly string[]): Promise<number> {
  return run(args);
}

// Standard input may still wait for keys: only exit ends that.
if (import.meta.main) Deno.exit(await main(Deno.args));
