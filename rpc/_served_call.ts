// A call of the peer while it runs here: what its handler gets as `this`.

import type { Duplex } from "../duplex.ts";
import type { CallId } from "./protocol.ts";
import type { Metadata } from "./call_options.ts";
import type { Context } from "./context.ts";
import type { Peer } from "./peer.ts";
import type { Client, Session } from "./session.ts";
import type { IncomingStream } from "./_incoming_stream.ts";
import type { RemoteCallback } from "./_callbacks.ts";
import { createClient } from "./_proxy.ts";

const NO_METADATA: Metadata = Object.freeze({});

/** Made for every call, so what few handlers use is made when it is used. */
export class ServedCall implements Context {
  readonly method: string;
  readonly session: Session;
  /** `undefined` for a notification. */
  readonly id: CallId | undefined;
  metadata: Metadata = NO_METADATA;
  deadline: number | undefined;
  /** Ends what came along: streams and callbacks among the arguments. */
  streams: IncomingStream[] | undefined;
  callbacks: RemoteCallback[] | undefined;
  timer: ReturnType<typeof setTimeout> | undefined;
  /** The caller has its answer, or wants none. */
  answered = false;
  /** It counts as running until its handler has settled. */
  running = false;
  #controller: AbortController | undefined;
  #aborted = false;
  #reason: unknown;

  constructor(session: Session, id: CallId | undefined, method: string) {
    this.session = session;
    this.id = id;
    this.method = method;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  get notification(): boolean {
    return this.id === undefined;
  }

  get peer(): Peer {
    return this.session.peer;
  }

  get duplex(): Duplex {
    return this.session.duplex;
  }

  client<T>(): Client<T> {
    return createClient<T>(this.session);
  }

  /** Tells the handler to stop. */
  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}
