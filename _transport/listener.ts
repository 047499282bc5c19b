// One Listener for every transport that accepts connections one by one.

import type { Connection, Listener } from "../duplex.ts";
import { ConnectionClosedError } from "../duplex.ts";

/** What a transport brings. */
export interface Acceptor {
  /** The next connection, or `undefined` for one that was refused. */
  accept(): Promise<Connection | undefined>;
  /** Stops: a pending `accept` rejects. */
  close(): Promise<void> | void;
  /** The listening socket's descriptor, where it can be found. */
  descriptor?(): number | undefined;
  /** Whether a pending `accept` keeps the program from ending; it does at first. */
  keepAlive?(on: boolean): void;
  /** Stops, but leaves the address to a successor; gives what was accepted. */
  retire?(): Promise<Connection[]> | Connection[];
}

interface Waiter {
  resolve(connection: Connection): void;
  reject(error: unknown): void;
}

/** A {@linkcode Listener} over an {@linkcode Acceptor}. */
export class AcceptListener implements Listener {
  readonly address: string;

  #acceptor: Acceptor;
  #waiters: Waiter[] = [];
  /** Accepted for a wait that was given up since. */
  #spare: Connection[] = [];
  #pumping = false;
  #pumped: Promise<void> | undefined;
  /** Nobody waits for the accept that is under way: the program may end. */
  #released = false;
  #retired = false;
  /** What was accepted is still being collected. */
  #retiring = false;
  #closing: Promise<void> | undefined;

  constructor(address: string, acceptor: Acceptor) {
    this.address = address;
    this.#acceptor = acceptor;
  }

  accept({ signal }: { signal?: AbortSignal } = {}): Promise<Connection> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const spare = this.#spare.shift();
    if (spare !== undefined) return Promise.resolve(spare);
    if (this.#closing !== undefined && !this.#retiring) {
      return Promise.reject(this.#closedError());
    }
    const { promise, resolve, reject } = Promise.withResolvers<Connection>();
    const onAbort = () => {
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
      reject(signal?.reason);
      if (this.#waiters.length === 0 && !this.#retiring) {
        this.#released = true;
        this.keepAlive(false);
      }
    };
    const settle = () => signal?.removeEventListener("abort", onAbort);
    const waiter: Waiter = {
      resolve: (connection) => (settle(), resolve(connection)),
      reject: (error) => (settle(), reject(error)),
    };
    this.#waiters.push(waiter);
    if (this.#released) {
      this.#released = false;
      this.keepAlive(true);
    }
    signal?.addEventListener("abort", onAbort, { once: true });
    if (!this.#pumping && !this.#retiring) this.#pumped = this.#pump();
    return promise;
  }

  /** Accepts while somebody waits, one at a time. */
  async #pump(): Promise<void> {
    this.#pumping = true;
    while (this.#waiters.length > 0 && this.#closing === undefined) {
      try {
        const connection = await this.#acceptor.accept();
        if (connection === undefined) continue;
        const waiter = this.#waiters.shift();
        if (waiter !== undefined) waiter.resolve(connection);
        else if (this.#closing === undefined || this.#retired) {
          this.#spare.push(connection);
        } else connection.abort(this.#closedError());
      } catch (error) {
        if (this.#closing === undefined) this.#waiters.shift()?.reject(error);
      }
    }
    this.#pumping = false;
  }

  close(): Promise<void> {
    for (const connection of this.#spare.splice(0)) {
      connection.abort(this.#closedError());
    }
    return this.#closing ??= this.#close();
  }

  /** The listening socket's descriptor, where it can be found. */
  descriptor(): number | undefined {
    return this.#closing === undefined
      ? this.#acceptor.descriptor?.()
      : undefined;
  }

  /** Whether a pending `accept` keeps the program from ending; it does at first. */
  keepAlive(on: boolean): void {
    if (this.#closing === undefined) this.#acceptor.keepAlive?.(on);
  }

  /**
   * Ends as `close` does, but leaves the address to a successor that has the
   * socket, and still gives out every connection that was accepted.
   */
  async retire(): Promise<void> {
    this.#retired = this.#retiring = true;
    this.#closing ??= Promise.resolve();
    const accepted = await this.#acceptor.retire?.() ?? [];
    await this.#pumped; // the accept that was under way
    for (const connection of accepted) {
      const waiter = this.#waiters.shift();
      if (waiter !== undefined) waiter.resolve(connection);
      else this.#spare.push(connection);
    }
    this.#retiring = false;
    const error = this.#closedError();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  async #close(): Promise<void> {
    const error = this.#closedError();
    const closed = this.#acceptor.close();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Connection> {
    for (;;) {
      try {
        yield await this.accept();
      } catch (error) {
        if (this.#closing !== undefined) return;
        throw error;
      }
    }
  }

  #closedError(): ConnectionClosedError {
    return new ConnectionClosedError(
      `Cannot accept on ${this.address}: the listener is closed`,
      { code: "closed" },
    );
  }
}
