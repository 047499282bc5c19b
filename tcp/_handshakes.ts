// Accepts TLS connections whose handshakes run side by side, so that a client
// that never finishes one holds up nobody else.

import type { Connection } from "../duplex.ts";
import { within } from "../_async/wait.ts";
import type { Acceptor } from "../_transport/listener.ts";

/** A connection whose handshake has yet to be done. */
export interface Unshaken {
  handshake(): Promise<Connection>;
  close(): void;
}

/** Where they come from. */
export interface UnshakenListener {
  accept(): Promise<Unshaken>;
  close(): void;
}

/** Clients that shake hands or wait for `accept`; more wait in the backlog. */
const MAX_PENDING = 64;

/**
 * An {@linkcode Acceptor} of connections that have shaken hands. It shakes hands
 * before `accept` asks, as the kernel does for TCP: so a program may connect to
 * itself, then accept.
 */
export class HandshakeAcceptor implements Acceptor {
  #listener: UnshakenListener;
  #timeout: number;
  #onError: ((error: unknown) => void) | undefined;
  #ready: Connection[] = [];
  #running = new Set<Unshaken>();
  /** Why the last accept failed, for who asks next. */
  #failure: { error: unknown } | undefined;
  #progress = Promise.withResolvers<void>();
  #closed = false;

  constructor(
    listener: UnshakenListener,
    timeout: number,
    onError: ((error: unknown) => void) | undefined,
  ) {
    this.#listener = listener;
    this.#timeout = timeout;
    this.#onError = onError;
    this.#run();
  }

  async accept(): Promise<Connection> {
    for (;;) {
      const ready = this.#ready.shift();
      if (ready !== undefined) {
        this.#tell();
        return ready;
      }
      const failure = this.#failure;
      if (failure !== undefined) {
        this.#failure = undefined;
        this.#tell();
        throw failure.error;
      }
      if (this.#closed) throw new Deno.errors.BadResource("Listener closed");
      await this.#progress.promise;
    }
  }

  close(): void {
    this.#closed = true;
    this.#listener.close();
    for (const conn of this.#running) closeQuietly(conn);
    for (const connection of this.#ready.splice(0)) connection.abort();
    this.#tell();
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      if (
        this.#failure !== undefined ||
        this.#running.size + this.#ready.length >= MAX_PENDING
      ) {
        await this.#progress.promise;
        continue;
      }
      try {
        const conn = await this.#listener.accept();
        this.#running.add(conn);
        this.#shakeHands(conn);
      } catch (error) {
        this.#failure = { error };
        this.#tell();
      }
    }
  }

  async #shakeHands(conn: Unshaken): Promise<void> {
    try {
      const connection = await within(
        conn.handshake(),
        "Cannot accept a TLS connection: no handshake",
        { timeout: this.#timeout },
      );
      if (this.#closed) connection.abort();
      else this.#ready.push(connection);
    } catch (error) {
      closeQuietly(conn);
      if (!this.#closed) this.#report(error);
    }
    this.#running.delete(conn);
    this.#tell();
  }

  /** Wakes who waits for a change. */
  #tell(): void {
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

function closeQuietly(conn: Unshaken): void {
  try {
    conn.close();
  } catch { // closed by what failed
  }
}
