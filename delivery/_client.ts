// The side of a reliable channel that connects.

import {
  type Connection,
  ConnectionClosedError,
  type Duplex,
} from "../duplex.ts";
import { within } from "../_async/wait.ts";
import { ProtocolError } from "./delivery_error.ts";
import { Greeter } from "./_greeter.ts";
import { Reconnector } from "../_async/reconnector.ts";
import { isTransient, noConnection } from "./_reconnect.ts";
import type { Connector, ReliableChannelOptions } from "./reliable_types.ts";
import { Session } from "./_session.ts";
import {
  decodeGreeting,
  decodeRefusal,
  encodeGreeting,
  Flag,
  ID_BYTES,
  Kind,
  Refusal,
} from "./_wire.ts";

/** The server has forgotten the session, and was asked for no new one. */
class SessionGone extends Error {}

/** Keeps a session connected. */
export class ReliableClient<In, Out> {
  readonly session: Session<In, Out>;
  #options: ReliableChannelOptions<In, Out>;
  #onlyOneSession: boolean;
  #reconnector: Reconnector;
  #detached = Promise.withResolvers<void>();

  /** With `onlyOneSession`, it is over when the server has forgotten it. */
  constructor(
    connect: Connector,
    options: ReliableChannelOptions<In, Out>,
    { onlyOneSession = false } = {},
  ) {
    this.#onlyOneSession = onlyOneSession;
    const { checksum = false, signal } = options;
    this.#options = options;
    const onAbort = () => this.session.abort(signal?.reason);
    this.session = new Session<In, Out>(options, {
      isClient: true,
      checksum,
      onDetached: () => this.#detached.resolve(),
      onOver: () => {
        this.#detached.resolve();
        this.#reconnector.stop();
        signal?.removeEventListener("abort", onAbort);
      },
    });
    this.#reconnector = new Reconnector({
      connect,
      options: options.reconnect,
      isTransient,
      timeout: this.session.timeouts.connect,
      use: (duplex, signal, attempts) => this.#use(duplex, signal, attempts),
      onFailed: (error) => {
        if (!(error instanceof SessionGone)) this.session.report(error);
      },
      onGiveUp: (error) => this.session.end.fail(toLoss(error)),
    });
    if (signal?.aborted) {
      onAbort();
      return;
    }
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#reconnector.run();
  }

  async #use(
    duplex: Duplex & Partial<Connection>,
    signal: AbortSignal,
    attempts: number,
  ): Promise<{ ended: Promise<{ useful: boolean }> }> {
    const { session } = this;
    this.#detached = Promise.withResolvers();
    let resumed = false;
    const greeter = new Greeter(
      duplex,
      session.timeouts,
      (kind, payload, { link }) => {
        if (session.end.isOver) throw new Error("Cannot greet: it is over");
        if (kind === Kind.Refuse) throw toError(payload);
        if (kind !== Kind.Welcome) {
          throw new ProtocolError(
            `Cannot greet the server: it answered with a frame of kind ${kind}`,
            { code: "version" },
          );
        }
        const welcome = decodeGreeting(payload);
        resumed = (welcome.flags & Flag.Resume) !== 0;
        if (!resumed) session.incoming.restart(welcome.first);
        session.checkGreeting(welcome);
        session.setId(welcome.id);
        session.attach(link, welcome);
      },
    );
    greeter.send(encodeGreeting(Kind.Hello, session.greeting(this.#flags())));
    try {
      await within(greeter.done, "Cannot greet the server", { signal });
    } catch (error) {
      greeter.fail(error);
      if (error instanceof SessionGone) this.#onGone();
      throw error;
    }
    const before = this.#progress();
    const start = performance.now();
    if (session.stats.connections > 1) this.#tell({ attempts, resumed });
    return {
      ended: this.#detached.promise.then(() => ({
        useful: this.#progress() > before || performance.now() - start > 1000,
      })),
    };
  }

  #flags(): number {
    const { session } = this;
    const isKnown = session.sessionId !== "";
    const mayRenew = this.#options.onSessionLost !== "reject" &&
      !this.#onlyOneSession && !session.end.isEnding;
    return (isKnown ? Flag.Resume : 0) |
      (session.checksum ? Flag.Checksum : 0) |
      (isKnown && !mayRenew ? Flag.ResumeOnly : 0);
  }

  /** The next greeting asks for a new session. */
  #onGone(): void {
    const { session } = this;
    if (session.end.isEnding || this.#onlyOneSession) {
      return session.end.confirm();
    }
    session.setId(new Uint8Array(ID_BYTES));
    session.sessionId = "";
    session.outgoing.rejectWritten();
  }

  /** Grows with each message that went through, either way. */
  #progress(): number {
    const { acknowledged, received } = this.session.stats;
    return acknowledged + received;
  }

  #tell(reconnection: { attempts: number; resumed: boolean }): void {
    try {
      this.#options.onReconnect?.(reconnection);
    } catch { // a hook that throws must not end the channel
    }
  }
}

function toError(payload: Uint8Array): Error {
  const { refusal, reason } = decodeRefusal(payload);
  const message = `Cannot use the session: the server refused it: ${reason}`;
  if (refusal === Refusal.Gone) return new SessionGone(message);
  if (refusal === Refusal.Busy) {
    return new ConnectionClosedError(message, { code: "lost" });
  }
  return new ProtocolError(message, { code: "refused" });
}

function toLoss(error: unknown): unknown {
  if (
    error instanceof ConnectionClosedError || error instanceof ProtocolError
  ) {
    return error;
  }
  return noConnection(error);
}
