// The first frames of a connection, before a session owns it.

import type { Duplex } from "../duplex.ts";
import { ProtocolError } from "./delivery_error.ts";
import { Link, type LinkOwner, type LinkTimeouts } from "./_link.ts";

/**
 * Sends one frame and waits for one. What follows the peer's frame may be in the
 * same chunk, so `onGreeting` runs at once: it gives the link its new owner, or
 * promises to.
 */
export class Greeter implements LinkOwner {
  readonly link: Link;
  /** Settles as `onGreeting` does. Who awaits it ends a link that was refused. */
  readonly done: Promise<void>;
  #toSend: Uint8Array[] = [];
  #onGreeting: (
    kind: number,
    payload: Uint8Array,
    greeter: Greeter,
  ) => Promise<void> | void;
  #greeted = false;
  #settle = Promise.withResolvers<void>();

  constructor(
    duplex: Duplex,
    timeouts: LinkTimeouts,
    onGreeting: (
      kind: number,
      payload: Uint8Array,
      greeter: Greeter,
    ) => Promise<void> | void,
  ) {
    this.#onGreeting = onGreeting;
    this.done = this.#settle.promise;
    this.done.catch(() => {}); // nobody has to listen
    this.link = new Link(duplex, this, timeouts);
  }

  send(frame: Uint8Array): void {
    this.#toSend.push(frame);
    this.link.wake();
  }

  fill(): Uint8Array | undefined {
    return this.#toSend.shift();
  }

  onControl(kind: number, payload: Uint8Array): void {
    if (this.#greeted) {
      throw new ProtocolError(
        `Cannot greet the peer: it sent a frame of kind ${kind} too early`,
        { code: "malformed" },
      );
    }
    this.#greeted = true;
    try {
      const greeted = this.#onGreeting(kind, payload, this);
      if (greeted === undefined) this.#settle.resolve();
      else greeted.then(this.#settle.resolve, this.#settle.reject);
    } catch (error) {
      this.#settle.reject(error);
    }
  }

  onData(): void {
    throw new ProtocolError(
      "Cannot greet the peer: it sent data before its greeting",
      { code: "malformed" },
    );
  }

  whenTaken(): undefined {}

  onSilence(): void {}

  onLost(error: unknown): void {
    this.#settle.reject(error);
  }

  /** Ends the connection. */
  fail(error: unknown): void {
    this.#settle.reject(error);
    this.link.abort(error);
  }

  /** Sends a last frame, then ends the connection. */
  async refuse(frame: Uint8Array, error: unknown): Promise<void> {
    this.#settle.reject(error);
    this.send(frame);
    await this.link.close();
  }
}
