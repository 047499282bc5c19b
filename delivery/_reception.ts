// Where a server's connections find the sessions that they are for.

import {
  type Connection,
  ConnectionClosedError,
  type Duplex,
} from "../duplex.ts";
import { checkInteger } from "../_async/check.ts";
import { within } from "../_async/wait.ts";
import { ProtocolError } from "./delivery_error.ts";
import { Greeter } from "./_greeter.ts";
import type { ReliableListenerOptions } from "./listener_types.ts";
import { GreetingRefused } from "./_refused.ts";
import type { SessionEntry, Sessions } from "./_sessions.ts";
import { resolveTimeouts } from "./_timeouts.ts";
import {
  decodeGreeting,
  encodeGreeting,
  encodeRefusal,
  Flag,
  type Greeting,
  Kind,
  Refusal,
} from "./_wire.ts";

/** Greets clients. */
export class Reception<In, Out> {
  #sessions: Sessions<In, Out>;
  #options: ReliableListenerOptions<In, Out>;
  #timeouts: ReturnType<typeof resolveTimeouts>;
  #report: (error: unknown) => void;
  /** Connections that have not finished their greeting. */
  #greeting = new Set<Greeter>();

  constructor(
    sessions: Sessions<In, Out>,
    options: ReliableListenerOptions<In, Out>,
    report: (error: unknown) => void,
  ) {
    this.#sessions = sessions;
    this.#options = options;
    this.#timeouts = resolveTimeouts(options.timeouts);
    this.#report = report;
  }

  receive(connection: Duplex & Partial<Connection>): void {
    const { isClosed, maxSessions } = this.#sessions;
    if (isClosed || this.#greeting.size >= maxSessions) {
      const error = new GreetingRefused(
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
    }).catch((error) => this.#turnAway(greeter, error))
      .finally(() => this.#greeting.delete(greeter));
  }

  #turnAway(greeter: Greeter, error: unknown): void {
    if (error instanceof ProtocolError) {
      const { refusal, reason } = error instanceof GreetingRefused
        ? error
        : { refusal: Refusal.Protocol, reason: error.message };
      greeter.refuse(encodeRefusal(refusal, reason), error);
    } else greeter.fail(error);
    this.#report(error);
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
      throw new GreetingRefused(Refusal.Protocol, "this is no credit channel");
    }
    const identity = await this.#identify(connection);
    const known = hello.flags & Flag.Resume
      ? await this.#find(hello, identity)
      : undefined;
    if (greeter.link.isOver) return; // it left in the meantime
    if (known === undefined && hello.flags & Flag.ResumeOnly) {
      throw new GreetingRefused(Refusal.Gone, "there is no such session");
    }
    const { session } = known ?? this.#add(hello, identity);
    session.checkGreeting(hello);
    session.line.detach(
      new ConnectionClosedError(
        "Cannot use the connection: its client has come back by another",
        { code: "closed" },
      ),
    );
    const welcome = encodeGreeting(
      Kind.Welcome,
      session.greeting(known ? Flag.Resume : 0),
    );
    this.#sessions.keep(session);
    session.attach(greeter.link, hello, welcome);
    this.#greeting.delete(greeter);
  }

  async #identify(connection: Duplex & Partial<Connection>): Promise<string> {
    try {
      return await this.#options.identify?.(connection) ?? "";
    } catch (error) {
      this.#report(error);
      throw new GreetingRefused(Refusal.Denied, "it is not allowed");
    }
  }

  /** The session that the client names, here or in the store. */
  async #find(
    hello: Greeting,
    identity: string,
  ): Promise<SessionEntry<In, Out> | undefined> {
    const name = hello.id.toHex();
    if (this.#sessions.get(name) === undefined) {
      await this.#load(name, hello, identity);
    }
    const entry = this.#sessions.get(name);
    if (entry === undefined) return undefined;
    if (
      entry.identity !== identity ||
      entry.session.checksum !== ((hello.flags & Flag.Checksum) !== 0)
    ) {
      throw new GreetingRefused(
        Refusal.Denied,
        "the session is another client's",
      );
    }
    return entry;
  }

  async #load(name: string, hello: Greeting, identity: string): Promise<void> {
    const handled = await this.#options.store?.load(name);
    if (handled === undefined) return;
    // Another connection may have come for it meanwhile.
    if (this.#sessions.get(name) !== undefined) return;
    this.#sessions.checkRoom();
    checkInteger("store.load's count", handled, 0);
    const session = this.#sessions.create((hello.flags & Flag.Checksum) !== 0);
    session.incoming.restart(handled);
    session.log.restart(hello.received);
    hello.acknowledged = hello.received; // what was sent before is gone
    session.checkGreeting(hello);
    this.#sessions.enter(session, identity, hello.id);
  }

  #add(hello: Greeting, identity: string): SessionEntry<In, Out> {
    this.#sessions.checkRoom();
    const session = this.#sessions.create((hello.flags & Flag.Checksum) !== 0);
    session.incoming.restart(hello.first);
    hello.received = hello.acknowledged = 0; // of another session
    return this.#sessions.enter(session, identity);
  }

  close(error: unknown): void {
    for (const greeter of this.#greeting) greeter.fail(error);
  }
}
