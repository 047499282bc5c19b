// The listener of a server: sessions to accept, from any number of listeners.

import {
  type Connection,
  ConnectionClosedError,
  type Duplex,
  type Listener,
} from "../duplex.ts";
import { sleep } from "../_async/wait.ts";
import { WaitList } from "../framing/_wait_list.ts";
import type {
  ReliableListener,
  ReliableListenerOptions,
} from "./listener_types.ts";
import { Reception } from "./_reception.ts";
import type { ReliableChannel } from "./reliable_types.ts";
import type { Session } from "./_session.ts";
import { Sessions } from "./_sessions.ts";

/** The wait after a failed accept, such as for lack of descriptors, in ms. */
const ACCEPT_PAUSE = 50;

/** The {@linkcode ReliableListener}. */
export class SessionTable<In, Out> implements ReliableListener<In, Out> {
  readonly address: string;
  #options: ReliableListenerOptions<In, Out>;
  #sessions: Sessions<In, Out>;
  #reception: Reception<In, Out>;
  #listeners = new Set<Listener>();
  /** Sessions that nobody accepted yet. */
  #ready: Session<In, Out>[] = [];
  #waiting = new WaitList<ReliableChannel<In, Out>, undefined>();
  #closing: Promise<void> | undefined;

  constructor(address: string, options: ReliableListenerOptions<In, Out>) {
    const onError = (error: unknown) => this.#report(error);
    this.address = address;
    this.#options = options;
    this.#sessions = new Sessions(options, {
      onConfirmed: (session) => this.#hand(session),
      onRemoved: (session) => this.#onRemoved(session),
      onError,
    });
    this.#reception = new Reception(this.#sessions, options, onError);
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  accept(
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<ReliableChannel<In, Out>> {
    if (this.#closing !== undefined) return Promise.reject(this.#closedError());
    if (signal?.aborted) return Promise.reject(signal.reason);
    const session = this.#ready.shift();
    if (session !== undefined) return Promise.resolve(session);
    return this.#waiting.add("Cannot accept", undefined, { signal });
  }

  listen(listener: Listener): void {
    if (this.#closing !== undefined) throw this.#closedError();
    this.#listeners.add(listener);
    this.#acceptFrom(listener);
  }

  async #acceptFrom(listener: Listener): Promise<void> {
    while (this.#closing === undefined) {
      try {
        this.attach(await listener.accept());
      } catch (error) {
        if (this.#closing !== undefined) break;
        if (error instanceof ConnectionClosedError) break; // closed elsewhere
        this.#report(error);
        await sleep(ACCEPT_PAUSE);
      }
    }
    this.#listeners.delete(listener);
  }

  attach(connection: Duplex & Partial<Connection>): void {
    this.#reception.receive(connection);
  }

  #hand(session: Session<In, Out>): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#ready.push(session);
    else waiting.resolve(session);
  }

  /** One with messages can be accepted still. */
  #onRemoved(session: Session<In, Out>): void {
    const index = this.#ready.indexOf(session);
    if (index >= 0 && session.incoming.isEmpty) this.#ready.splice(index, 1);
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    const error = this.#closedError();
    this.#sessions.isClosed = true;
    this.#waiting.rejectAll(error);
    this.#reception.close(error);
    for (const session of this.#ready.splice(0)) session.abort(error);
    for (const session of this.#sessions.all()) {
      if (!session.line.isAttached) session.abort(error);
    }
    await Promise.all([...this.#listeners].map((listener) => listener.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<
    ReliableChannel<In, Out>
  > {
    for (;;) {
      try {
        yield await this.accept();
      } catch (error) {
        if (this.#closing !== undefined) return;
        throw error;
      }
    }
  }

  #report(error: unknown): void {
    try {
      this.#options.onError?.(error);
    } catch { // a hook that throws must not end the listener
    }
  }

  #closedError(): ConnectionClosedError {
    return new ConnectionClosedError(
      `Cannot accept on ${this.address}: the listener is closed`,
      { code: "closed" },
    );
  }
}
