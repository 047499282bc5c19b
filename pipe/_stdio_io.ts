// This process's stdin and stdout as the bytes of a connection.

import { afterReplies } from "../_async/after_replies.ts";
import { openStdioAgain } from "../_libc/child_pipe.ts";
import { endStdout } from "../_libc/stdio.ts";
import type { ByteIo } from "../_transport/connection.ts";
import { ONE_PIECE, PipeEnd } from "./_pipe_end.ts";

/**
 * Reads stdin and writes stdout: each wait takes a thread of the runtime, so
 * that calls move what they can where FFI is allowed.
 */
export class StdioIo implements ByteIo {
  readonly onePiece = ONE_PIECE;
  readonly callsSystem = true;
  readonly tryWrite?: (bytes: Uint8Array) => number;
  readonly #onClose: () => void;
  readonly #stdin = new PipeEnd(openStdioAgain(0));
  readonly #stdout = new PipeEnd(openStdioAgain(1));
  /** Whether the last read may have left something. */
  #more = false;
  #closed = false;

  constructor(onClose: () => void) {
    this.#onClose = onClose;
    if (this.#stdout.isOpen) {
      this.tryWrite = (bytes) => this.#stdout.tryWrite(bytes);
    }
  }

  tryRead(into: Uint8Array): number {
    if (!this.#more) return 0;
    const count = this.#stdin.tryRead(into);
    this.#more = count === into.byteLength;
    return count;
  }

  async read(into: Uint8Array): Promise<number | null> {
    await afterReplies();
    if (this.#closed) return null;
    const count = await Deno.stdin.read(into);
    this.#more = count === into.byteLength;
    return count;
  }

  write(bytes: Uint8Array): Promise<number> {
    return Deno.stdout.write(bytes);
  }

  closeWrite(): void {
    this.#stdout.close();
    endStdout();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.closeWrite();
    this.#stdin.close();
    this.#onClose();
    Deno.stdin.close();
  }
}
