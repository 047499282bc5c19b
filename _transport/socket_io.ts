// A socket of the runtime's, and calls on its descriptor beside it.

import { sendNow } from "../_libc/socket.ts";
import type { ByteIo } from "./byte_io.ts";

/** What is below a connection on `conn`, whose descriptor may be known. */
export function socketIo(conn: Deno.Conn, fd: number | undefined): ByteIo {
  // Elsewhere a call can't be told to raise no SIGPIPE.
  const calls = fd !== undefined && Deno.build.os === "linux";
  return calls ? new SocketIo(conn, fd) : conn;
}

/** Writes by calls while there is room, and else in the event loop. */
class SocketIo implements ByteIo {
  readonly callsSystem = true;
  readonly #conn: Deno.Conn;
  #fd: number | undefined;

  /** Owns `conn`, of which `fd` is the descriptor. */
  constructor(conn: Deno.Conn, fd: number) {
    this.#conn = conn;
    this.#fd = fd;
  }

  read(into: Uint8Array): Promise<number | null> {
    return this.#conn.read(into);
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.#conn.write(bytes);
  }

  tryWrite(bytes: Uint8Array): number {
    return this.#fd === undefined ? 0 : sendNow(this.#fd, bytes);
  }

  closeWrite(): Promise<void> {
    return this.#conn.closeWrite();
  }

  close(): void {
    this.#fd = undefined;
    this.#conn.close();
  }
}
