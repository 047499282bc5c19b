// The sessions of a server, by their names.

import {
  type Connection,
  ConnectionClosedError,
  type Duplex,
  type Listener,
} from "../duplex.ts";
import { checkInteger } from "../_async/check.ts";
import { checkTimeout, sleep, within } from "../_async/wait.ts";
import { WaitList } from "../framing/_wait_list.ts";
import { ProtocolError } from "./delivery_error.ts";
import { Greeter } from "./_greeter.ts";
import type {
  ReliableListener,
  ReliableListenerOptions,
} from "./listener_types.ts";
import type { ReliableChannel } from "./reliable_types.ts";
import { Session } from "./_session.ts";
import { resolveTimeouts } from "./_timeouts.ts";
import {
  decodeGreeting,
  encodeGreeting,
  encodeRefusal,
  Flag,
  type Greeting,
  ID_BYTES,
  Kind,
  Refusal,
} from "./_wire.ts";

/** The wait after a failed accept, such as for lack of descriptors, in ms. */
const ACCEPT_PAUSE = 50;
const MAX_TIMER = 2 ** 31 - 1;

interface Entry<In, Out> {
  session: Session<In, Out>;
  identity: string;
  expiry?: ReturnType<typeof setTimeout>;
}

/** Why a greeting got no session, as the client is told. */
class Refused extends ProtocolError {
  constructor(readonly refusal: number, readonly reason: string) {
    super(`Cannot greet a client: ${reason}`, { code: "refused" });
  }
}

/** The {@linkcode ReliableListener}. */
export class SessionTable<In, Out> implements ReliableListener<In, Out> {
  readonly address: string;
  #options: ReliableListenerOptions<In, Out>;
  #timeouts: ReturnType<typeof resolveTimeouts>;
  #maxSessions: number;
  #sessionTimeout: number;
  #entries = new Map<string, Entry<In, Out>>();
  #listeners = new Set<Listener>();
  /** Connections that have not finished their greeting. */
  #greeting = new Set<Greeter>();
  /** Sessions that nobody accepted yet. */
  #ready: Session<In, Out>[] = [];
  #waiting = new WaitList<ReliableChannel<In, Out>, undefined>();
  #closing: Promise<void> | undefined;

  constructor(address: string, options: ReliableListenerOptions<In, Out>) {
    const { maxSessions = 1000, sessionTimeout = 60_000 } = options;
    this.address = address;
    this.#options = options;
    this.#timeouts = resolveTimeouts(options.timeouts);
    this.#maxSessions = checkInteger("maxSessions", maxSessions, 1);
    this.#sessionTimeout = checkTimeout("sessionTimeout", sessionTimeout);
    this.#createSession(false); // throws what is wrong with the options now
  }

  get sessions(): number {
    return this.#entries.size;
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
    if (
      this.#closing !== undefined || this.#greeting.size >= this.#maxSessions
    ) {
      const error = new Refused(
        Refusal.Busy,
        "too many clients connect at once",
      );
      connection.abort?.(error);
      return this.#report(error);
    }
    const greeter: Greeter = new Greeter(
      connection,
      this.#timeouts,
      (kind, payload) => this.#greet(kind, payload, connection, greeter),
    );
    this.#greeting.add(greeter);
    within(greeter.done, "Cannot greet a client", {
      timeout: this.#timeouts.connect,
    }).catch((error) => {
      if (error instanceof ProtocolError) {
        const { refusal, reason } = error instanceof Refused
          ? error
          : { refusal: Refusal.Protocol, reason: error.message };
        greeter.refuse(encodeRefusal(refusal, reason), error);
      } else greeter.fail(error);
      this.#report(error);
    }).finally(() => this.#greeting.delete(greeter));
  }

  async #greet(
    kind: number,
    payload: Uint8Array,
    connection: Duplex & Partial<Connection>,
    greeter: Greeter,
  ): Promise<void> {
    if (kind !== Kind.Hello) {
      throw new ProtocolError(
        `Cannot greet a client: it began with a frame of kind ${kind}`,
        { code: "malformed" },
      );
    }
    const hello = decodeGreeting(payload);
    if (hello.flags & Flag.Credit) {
      throw new Refused(Refusal.Protocol, "this is no credit channel");
    }
    const identity = await this.#identify(connection);
    const known = hello.flags & Flag.Resume
      ? await this.#find(hello, identity)
      : undefined;
    if (greeter.link.isOver) return; // it left in the meantime
    if (known === undefined && hello.flags & Flag.ResumeOnly) {
      throw new Refused(Refusal.Gone, "there is no such session");
    }
    const { session } = known ?? this.#add(hello, identity);
    session.checkGreeting(hello);
    session.detach(
      new ConnectionClosedError(
        "Cannot use the connection: its client has come back by another",
        { code: "closed" },
      ),
    );
    const welcome = encodeGreeting(
      Kind.Welcome,
      session.greeting(known ? Flag.Resume : 0),
    );
    clearTimeout(this.#entries.get(session.sessionId)?.expiry);
    session.attach(greeter.link, hello, welcome);
    this.#greeting.delete(greeter);
  }

  async #identify(connection: Duplex & Partial<Connection>): Promise<string> {
    try {
      return await this.#options.identify?.(connection) ?? "";
    } catch (error) {
      this.#report(error);
      throw new Refused(Refusal.Denied, "it is not allowed");
    }
  }

  /** The session that the client names, here or in the store. */
  async #find(
    hello: Greeting,
    identity: string,
  ): Promise<Entry<In, Out> | undefined> {
    const name = hello.id.toHex();
    const { store } = this.#options;
    if (!this.#entries.has(name) && store !== undefined) {
      const handled = await store.load(name);
      // Another connection may have come for it meanwhile.
      if (handled !== undefined && !this.#entries.has(name)) {
        this.#checkRoom();
        checkInteger("store.load's count", handled, 0);
        const session = this.#createSession(
          (hello.flags & Flag.Checksum) !== 0,
        );
        session.incoming.restart(handled);
        session.log.restart(hello.received);
        hello.acknowledged = hello.received; // what was sent before is gone
        session.checkGreeting(hello);
        this.#enter(session, hello.id, identity);
      }
    }
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    if (
      entry.identity !== identity ||
      entry.session.checksum !== ((hello.flags & Flag.Checksum) !== 0)
    ) throw new Refused(Refusal.Denied, "the session is another client's");
    return entry;
  }

  #add(hello: Greeting, identity: string): Entry<In, Out> {
    this.#checkRoom();
    const session = this.#createSession((hello.flags & Flag.Checksum) !== 0);
    session.incoming.restart(hello.first);
    hello.received = hello.acknowledged = 0; // of another session
    const id = crypto.getRandomValues(new Uint8Array(ID_BYTES));
    return this.#enter(session, id, identity);
  }

  #checkRoom(): void {
    if (this.#closing !== undefined) {
      throw new Refused(Refusal.Busy, "the server is closing");
    }
    if (this.#entries.size < this.#maxSessions) return;
    throw new Refused(
      Refusal.Busy,
      `there are ${this.#maxSessions} sessions, as many as maxSessions`,
    );
  }

  #createSession(checksum: boolean): Session<In, Out> {
    const session: Session<In, Out> = new Session(this.#options, {
      isClient: false,
      checksum,
      store: this.#options.store,
      onDetached: () => this.#expire(session),
      // Before that, the client may not know of it, and ask for another.
      onConfirmed: () => this.#hand(session),
      onOver: () => this.#remove(session),
    });
    return session;
  }

  #enter(
    session: Session<In, Out>,
    id: Uint8Array,
    identity: string,
  ): Entry<In, Out> {
    const entry: Entry<In, Out> = { session, identity };
    session.setId(id);
    this.#entries.set(session.sessionId, entry);
    return entry;
  }

  #hand(session: Session<In, Out>): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#ready.push(session);
    else waiting.resolve(session);
  }

  /** A session without a connection is kept for a while. */
  #expire(session: Session<In, Out>): void {
    const entry = this.#entries.get(session.sessionId);
    if (entry === undefined) return;
    const expire = () =>
      session.fail(
        new ConnectionClosedError(
          `Cannot use the channel: its client was gone for longer than ` +
            `sessionTimeout ${this.#sessionTimeout} ms`,
          { code: "lost" },
        ),
        { keepReceived: true },
      );
    const timeout = session.isConfirmed
      ? this.#sessionTimeout
      : Math.min(this.#sessionTimeout, this.#timeouts.connect);
    clearTimeout(entry.expiry);
    if (this.#closing !== undefined) expire();
    else if (timeout <= MAX_TIMER) entry.expiry = setTimeout(expire, timeout);
  }

  #remove(session: Session<In, Out>): void {
    const entry = this.#entries.get(session.sessionId);
    if (entry?.session !== session) return;
    clearTimeout(entry.expiry);
    this.#entries.delete(session.sessionId);
    const index = this.#ready.indexOf(session);
    if (index >= 0 && session.incoming.isEmpty) this.#ready.splice(index, 1);
    if (session.endedInOrder) this.#forget(session.sessionId);
  }

  async #forget(name: string): Promise<void> {
    try {
      await this.#options.store?.delete?.(name);
    } catch (error) {
      this.#report(error);
    }
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    const error = this.#closedError();
    this.#waiting.rejectAll(error);
    for (const greeter of this.#greeting) greeter.fail(error);
    for (const session of this.#ready.splice(0)) session.abort(error);
    for (const { session } of [...this.#entries.values()]) {
      if (!session.isAttached) session.abort(error);
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
