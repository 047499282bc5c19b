// The sessions that a server has, by their names.

import { ConnectionClosedError } from "../duplex.ts";
import { checkInteger } from "../_async/check.ts";
import { checkTimeout, MAX_TIMER } from "../_async/wait.ts";
import type { ReliableListenerOptions } from "./listener_types.ts";
import { GreetingRefused } from "./_refused.ts";
import { Session } from "./_session.ts";
import { resolveTimeouts } from "./_timeouts.ts";
import { ID_BYTES, Refusal } from "./_wire.ts";

/** What {@linkcode Sessions} tell. */
export interface SessionsParts<In, Out> {
  /** Its client knows of it: it can be accepted. */
  onConfirmed: (session: Session<In, Out>) => void;
  onRemoved: (session: Session<In, Out>) => void;
  onError: (error: unknown) => void;
}

/** A session, and whose it is. */
export interface SessionEntry<In, Out> {
  readonly session: Session<In, Out>;
  readonly identity: string;
  expiry?: ReturnType<typeof setTimeout>;
}

/** Makes sessions, and keeps each as long as its client may come back for it. */
export class Sessions<In, Out> {
  /** Whether there is room for none any more. */
  isClosed = false;
  #options: ReliableListenerOptions<In, Out>;
  #parts: SessionsParts<In, Out>;
  #maxSessions: number;
  #timeout: number;
  #connectTimeout: number;
  #entries = new Map<string, SessionEntry<In, Out>>();

  constructor(
    options: ReliableListenerOptions<In, Out>,
    parts: SessionsParts<In, Out>,
  ) {
    const { maxSessions = 1000, sessionTimeout = 60_000 } = options;
    this.#options = options;
    this.#parts = parts;
    this.#maxSessions = checkInteger("maxSessions", maxSessions, 1);
    this.#timeout = checkTimeout("sessionTimeout", sessionTimeout);
    this.#connectTimeout = resolveTimeouts(options.timeouts).connect;
    this.create(false); // throws what is wrong with the options now
  }

  get size(): number {
    return this.#entries.size;
  }

  get maxSessions(): number {
    return this.#maxSessions;
  }

  get(name: string): SessionEntry<In, Out> | undefined {
    return this.#entries.get(name);
  }

  all(): Session<In, Out>[] {
    return [...this.#entries.values()].map(({ session }) => session);
  }

  checkRoom(): void {
    if (this.isClosed) {
      throw new GreetingRefused(Refusal.Busy, "the server is closing");
    }
    if (this.#entries.size < this.#maxSessions) return;
    throw new GreetingRefused(
      Refusal.Busy,
      `there are ${this.#maxSessions} sessions, as many as maxSessions`,
    );
  }

  /** A session that has no name yet. */
  create(checksum: boolean): Session<In, Out> {
    const session: Session<In, Out> = new Session(this.#options, {
      isClient: false,
      checksum,
      store: this.#options.store,
      onDetached: () => this.#expire(session),
      // Before that, the client may not know of it, and ask for another.
      onConfirmed: () => this.#parts.onConfirmed(session),
      onOver: () => this.#remove(session),
    });
    return session;
  }

  /** Gives it a name: that of the client, or a new one. */
  enter(
    session: Session<In, Out>,
    identity: string,
    id: Uint8Array = crypto.getRandomValues(new Uint8Array(ID_BYTES)),
  ): SessionEntry<In, Out> {
    const entry: SessionEntry<In, Out> = { session, identity };
    session.setId(id);
    this.#entries.set(session.sessionId, entry);
    return entry;
  }

  /** A session without a connection is kept for a while. */
  #expire(session: Session<In, Out>): void {
    const entry = this.#entries.get(session.sessionId);
    if (entry === undefined) return;
    const expire = () => session.end.fail(this.#gone(), { keepReceived: true });
    const timeout = session.line.isConfirmed
      ? this.#timeout
      : Math.min(this.#timeout, this.#connectTimeout);
    clearTimeout(entry.expiry);
    if (this.isClosed) expire();
    else if (timeout <= MAX_TIMER) entry.expiry = setTimeout(expire, timeout);
  }

  #gone(): ConnectionClosedError {
    return new ConnectionClosedError(
      `Cannot use the channel: its client was gone for longer than ` +
        `sessionTimeout ${this.#timeout} ms`,
      { code: "lost" },
    );
  }

  /** Its client is there. */
  keep(session: Session<In, Out>): void {
    clearTimeout(this.#entries.get(session.sessionId)?.expiry);
  }

  #remove(session: Session<In, Out>): void {
    const entry = this.#entries.get(session.sessionId);
    if (entry?.session !== session) return;
    clearTimeout(entry.expiry);
    this.#entries.delete(session.sessionId);
    this.#parts.onRemoved(session);
    if (session.end.wasInOrder) this.#forget(session.sessionId);
  }

  async #forget(name: string): Promise<void> {
    try {
      await this.#options.store?.delete?.(name);
    } catch (error) {
      this.#parts.onError(error);
    }
  }
}
