// What a session writes to the connection that it has.

import type { Incoming } from "./_incoming.ts";
import type { Outgoing } from "./_outgoing.ts";
import { encodeEnd, encodeStatus, Kind } from "./_wire.ts";

/** Small data goes with what is told before it in one write. */
const SMALL = 4 * 1024;

/** Puts what is due in order: signs of life and acknowledgements, data, an end. */
export class Speaker<In, Out> {
  #incoming: Incoming<In>;
  #outgoing: Outgoing<Out>;
  #statusDue = false;
  #pingDue = false;
  /** How this side ends, and whether that is still to be written. */
  #ending: number | undefined;
  #endDue = false;
  /** What waits behind that which was given out last. */
  #chunk: Uint8Array | undefined;

  constructor(incoming: Incoming<In>, outgoing: Outgoing<Out>) {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
  }

  /** Begins anew, on another connection: with `first`, if it is given. */
  restart(first: Uint8Array | undefined, status: boolean): void {
    this.#chunk = first;
    this.#statusDue = status;
    this.#pingDue = false;
    this.#endDue = this.#ending !== undefined;
  }

  tellStatus(): void {
    this.#statusDue = true;
  }

  /** Asks for a sign of life. */
  ping(): void {
    this.#pingDue = true;
  }

  /** This side ends, when what it has sent is written. */
  tellEnd(ending: number): void {
    this.#ending = ending;
    this.#endDue = true;
  }

  /** What to write next. */
  next(): Uint8Array | undefined {
    if (this.#chunk !== undefined) {
      const chunk = this.#chunk;
      this.#chunk = undefined;
      return chunk;
    }
    const { log, room } = this.#outgoing;
    const told = this.#status();
    const chunk = log.readChunk(room.maxMessages, room.maxBytes);
    if (log.read > this.#outgoing.written) this.#outgoing.written = log.read;
    if (chunk !== undefined) {
      if (told === undefined) return chunk;
      if (chunk.length <= SMALL) return concat(told, chunk);
      this.#chunk = chunk;
      return told;
    }
    if (this.#endDue && log.read === log.next) {
      this.#endDue = false;
      const end = encodeEnd(this.#ending!, log.next);
      return told === undefined ? end : concat(told, end);
    }
    return told;
  }

  #status(): Uint8Array | undefined {
    if (!this.#statusDue && !this.#pingDue) return undefined;
    const kind = this.#pingDue ? Kind.Ping : Kind.Status;
    this.#statusDue = this.#pingDue = false;
    return encodeStatus(kind, {
      sent: this.#outgoing.log.read,
      acknowledged: this.#incoming.acknowledge(),
    });
  }
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
