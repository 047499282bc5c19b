import type { Connection } from "../duplex.ts";
import { checkOneOf } from "../_async/check.ts";
import { afterReplies } from "../_async/after_replies.ts";
import { openStdoutAgain } from "../_libc/child_pipe.ts";
import { endStdout } from "../_libc/stdio.ts";
import { ByteConnection, type ByteIo } from "../_transport/connection.ts";
import {
  type ByteStreamOptions,
  checkStreamOptions,
} from "../_transport/options.ts";
import { ONE_PIECE, PipeEnd } from "./_pipe_end.ts";

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
  return new ByteConnection(stdio(restore), {
    ...options,
    local: "stdio:",
    remote: "stdio:",
  });
}

function stdio(restore: () => void): ByteIo {
  let closed = false;
  const writeEnd = new PipeEnd(openStdoutAgain());
  const endWriting = () => {
    writeEnd.close();
    endStdout();
  };
  return {
    onePiece: ONE_PIECE,
    async read(into) {
      await afterReplies();
      return closed ? null : await Deno.stdin.read(into);
    },
    tryWrite: writeEnd.tryWrite,
    write: (bytes) => Deno.stdout.write(bytes),
    closeWrite: endWriting,
    close() {
      if (closed) return;
      closed = true;
      open = false;
      endWriting();
      restore();
      Deno.stdin.close();
    },
  };
}

/** Sends to stderr what would go to stdout; returns what undoes that. */
function redirectConsole(): () => void {
  const { log, info, debug } = console;
  console.log = console.info = console.debug = (...data) =>
    console.error(...data);
  return () => Object.assign(console, { log, info, debug });
}
