// Accepts TLS connections whose handshakes run side by side, so that a client
// that never finishes one holds up nobody else.

import type { Connection } from "../duplex.ts";
import { within } from "../_async/wait.ts";
import type { Acceptor } from "../_transport/listener.ts";

/** Handshakes under way at once; further clients wait in the backlog. */
const MAX_HANDSHAKES = 64;

/** An {@linkcode Acceptor} of connections that have shaken hands. */
export class HandshakeAcceptor implements Acceptor {
  #listener: Deno.TlsListener;
  #timeout: number;
  #wrap: (conn: Deno.TlsConn) => Connection;
  #onError: ((error: unknown) => void) | undefined;
  #ready: Connection[] = [];
  #running = new Set<Deno.TlsConn>();
  #accepting: Promise<void> | undefined;
  #progress = Promise.withResolvers<void>();
  #closed = false;

  constructor(
    listener: Deno.TlsListener,
    timeout: number,
    wrap: (conn: Deno.TlsConn) => Connection,
    onError: ((error: unknown) => void) | undefined,
  ) {
    this.#listener = listener;
    this.#timeout = timeout;
    this.#wrap = wrap;
    this.#onError = onError;
  }

  async accept(): Promise<Connection> {
    for (;;) {
      if (this.#closed) throw new Deno.errors.BadResource("Listener closed");
      const ready = this.#ready.shift();
      if (ready !== undefined) return ready;
      // A race with nothing would be over at once, and again, for ever.
      const { promise } = this.#progress;
      if (this.#running.size < MAX_HANDSHAKES) {
        this.#accepting ??= this.#acceptOne();
      }
      await (this.#accepting
        ? Promise.race([this.#accepting, promise])
        : promise);
    }
  }

  close(): void {
    this.#closed = true;
    this.#listener.close();
    for (const conn of this.#running) closeQuietly(conn);
    this.#progress.resolve();
    for (const connection of this.#ready.splice(0)) connection.abort();
  }

  async #acceptOne(): Promise<void> {
    try {
      const conn = await this.#listener.accept();
      this.#running.add(conn);
      this.#shakeHands(conn);
    } finally {
      this.#accepting = undefined;
    }
  }

  async #shakeHands(conn: Deno.TlsConn): Promise<void> {
    try {
      await within(
        conn.handshake(),
        "Cannot accept a TLS connection: no handshake",
        { timeout: this.#timeout },
      );
      const connection = this.#wrap(conn);
      if (this.#closed) connection.abort();
      else this.#ready.push(connection);
    } catch (error) {
      closeQuietly(conn);
      if (!this.#closed) this.#report(error);
    }
    this.#running.delete(conn);
    this.#progress.resolve();
    this.#progress = Promise.withResolvers();
  }

  #report(error: unknown): void {
    try {
      this.#onError?.(error);
    } catch { // a hook that throws must not end the listener
    }
  }
}

function closeQuietly(conn: Deno.TlsConn): void {
  try {
    conn.close();
  } catch { // closed by what failed
  }
}
