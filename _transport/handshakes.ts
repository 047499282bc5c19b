// Accepts connections whose handshakes run side by side, so that a client that
// never finishes one holds up nobody else.

import type { Connection } from "../duplex.ts";
import { within } from "../_async/wait.ts";
import type { Acceptor } from "./listener.ts";

/** A connection whose handshake has yet to be done. */
export interface Unshaken {
  handshake(): Promise<Connection>;
  close(): void;
}

/** Where they come from. */
export interface UnshakenListener {
  accept(): Promise<Unshaken>;
  close(): Promise<void> | void;
  /** Whether a pending `accept` keeps the program from ending. */
  keepAlive?(on: boolean): void;
}

/** How a {@linkcode HandshakeAcceptor} shakes hands. */
export interface HandshakeOptions {
  /** What a handshake that takes too long fails to do, for the error. */
  what: string;
  /** The longest handshake, in milliseconds. */
  timeout: number;
  /** Clients that shake hands or wait for `accept`; more wait in the backlog. */
  maxPending: number;
  /** Told of each failed handshake. */
  onError?: (error: unknown) => void;
}

/**
 * An {@linkcode Acceptor} of connections that have shaken hands. It shakes hands
 * before `accept` asks, as the kernel does for TCP: so a program may connect to
 * itself, then accept.
 */
export class HandshakeAcceptor implements Acceptor {
  #listener: UnshakenListener;
  #options: HandshakeOptions;
  #ready: Connection[] = [];
  #running = new Set<Unshaken>();
  /** Why the last accept failed, for who asks next. */
  #failure: { error: unknown } | undefined;
  #progress = Promise.withResolvers<void>();
  #closed = false;

  constructor(listener: UnshakenListener, options: HandshakeOptions) {
    this.#listener = listener;
    this.#options = options;
    listener.keepAlive?.(false); // only who waits for one does
    this.#run();
  }

  async accept(): Promise<Connection> {
    this.#listener.keepAlive?.(true);
    try {
      return await this.#next();
    } finally {
      if (!this.#closed) this.#listener.keepAlive?.(false);
    }
  }

  keepAlive(on: boolean): void {
    this.#listener.keepAlive?.(on);
  }

  async #next(): Promise<Connection> {
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

  close(): Promise<void> | void {
    this.#closed = true;
    const closed = this.#listener.close();
    for (const conn of this.#running) closeQuietly(conn);
    for (const connection of this.#ready.splice(0)) connection.abort();
    this.#tell();
    return closed;
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      if (
        this.#failure !== undefined ||
        this.#running.size + this.#ready.length >= this.#options.maxPending
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
        this.#options.what,
        { timeout: this.#options.timeout },
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
      this.#options.onError?.(error);
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
