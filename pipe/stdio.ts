import type { Connection } from "../duplex.ts";
import { checkOneOf } from "../_async/check.ts";
import { ByteConnection } from "../_transport/connection.ts";
import {
  type ByteStreamOptions,
  checkStreamOptions,
} from "../_transport/options.ts";
import { StdioIo } from "./_stdio_io.ts";

/** Options of {@linkcode openStdio}. */
export interface OpenStdioOptions extends ByteStreamOptions {
  /**
   * Where `console.log`, `info` and `debug` write while the connection is open:
   * one stray line on stdout would break the peer's framing.
   *
   * @default {"stderr"}
   */
  console?: "stderr" | "keep";
}

let open = false;

/**
 * This process's stdin and stdout as a connection: the other end of
 * {@linkcode connectExec}, or of any program that starts this one with pipes.
 * The address form is `stdio:`.
 *
 * It needs no permission. There is one such connection at a time.
 *
 * ## Platform-specific behavior
 *
 * The runtime keeps copies of stdout, so that closing `writable` ends the
 * stream for the peer only on Linux with `--allow-ffi`, and only once. Elsewhere
 * the peer sees the end when this process exits.
 *
 * @param options How the streams behave.
 * @returns The connection.
 * @throws {Deno.errors.Busy} If it is open already.
 *
 * @example A worker that counts bytes
 * ```ts ignore
 * import { openStdio } from "@sluice/ipc/pipe";
 *
 * await using parent = openStdio();
 * const writer = parent.writable.getWriter();
 * for await (const chunk of parent.readable) {
 *   await writer.write(new TextEncoder().encode(`${chunk.length}\n`));
 * }
 * ```
 */
export function openStdio(options: OpenStdioOptions = {}): Connection {
  const { console: target = "stderr" } = options;
  checkOneOf("console", target, ["stderr", "keep"]);
  checkStreamOptions(options);
  if (open) {
    throw new Deno.errors.Busy("Cannot open stdio: it is open already");
  }
  open = true;
  const restore = target === "stderr" ? redirectConsole() : () => {};
  const io = new StdioIo(() => {
    open = false;
    restore();
  });
  return new ByteConnection(io, {
    ...options,
    local: "stdio:",
    remote: "stdio:",
  });
}

/** Sends to stderr what would go to stdout; returns what undoes that. */
function redirectConsole(): () => void {
  const { log, info, debug } = console;
  console.log = console.info = console.debug = (...data) =>
    console.error(...data);
  return () => Object.assign(console, { log, info, debug });
}
