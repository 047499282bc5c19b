// What a session says and hears, over one connection after the other.

import { ConnectionClosedError } from "../duplex.ts";
import { Acknowledger } from "./_acknowledger.ts";
import { ProtocolError } from "./delivery_error.ts";
import type { Incoming } from "./_incoming.ts";
import type { Link, LinkOwner } from "./_link.ts";
import type { Outgoing } from "./_outgoing.ts";
import {
  decodeEnd,
  decodeStatus,
  encodeEnd,
  encodeStatus,
  Ending,
  type Greeting,
  Kind,
} from "./_wire.ts";

/** What a {@linkcode Line} works with. */
export interface LineParts<In, Out> {
  incoming: Incoming<In>;
  outgoing: Outgoing<Out>;
  /** A client tells at once that it knows its session. */
  isClient: boolean;
  maxFrameLength: number;
  checksum: boolean;
  /** Called once, when anything came from the peer but its greeting. */
  onConfirmed: () => void;
  /** The peer acknowledged more. */
  onAcknowledged: () => void;
  /** The peer ends, in one of the ways of `Ending`. */
  onEnd: (ending: number) => void;
  /** The link broke. */
  onLost: (error: unknown) => void;
}

/** Small data goes with what is told before it in one write. */
const SMALL = 4 * 1024;

/** Owns the link that there is now. */
export class Line<In, Out> implements LinkOwner {
  connections = 0;
  /** Messages that were written to more than one link. */
  resent = 0;
  /** Whether anything came from the peer but its greeting. */
  isConfirmed = false;
  #parts: LineParts<In, Out>;
  #acknowledger: Acknowledger;
  #link: Link | undefined;
  /** What the link is to write before data. */
  #statusDue = false;
  #pingDue = false;
  /** How this side ends, and whether that is still to be written. */
  #ending: number | undefined;
  #endDue = false;
  /** Data that waits behind what is told. */
  #chunk: Uint8Array | undefined;

  constructor(parts: LineParts<In, Out>) {
    this.#parts = parts;
    this.#acknowledger = new Acknowledger(
      parts.incoming,
      () => this.#link,
      () => this.#tellStatus(),
    );
  }

  get isAttached(): boolean {
    return this.#link !== undefined;
  }

  /** Goes on over this link, whose peer said `greeting`; writes `first` first. */
  attach(link: Link, greeting: Greeting, first?: Uint8Array): void {
    this.detach(
      new ConnectionClosedError(
        "Cannot use the connection: the session goes on over another",
        { code: "closed" },
      ),
    );
    const { incoming, outgoing, isClient, maxFrameLength, checksum } =
      this.#parts;
    const { log, room } = outgoing;
    this.connections++;
    log.reuses &&= link.releases;
    room.setPeer(greeting);
    incoming.setPeer(greeting);
    this.#acknowledged(greeting.acknowledged);
    log.seek(greeting.received);
    this.resent += Math.max(0, outgoing.written - greeting.received);
    this.#link = link;
    this.#chunk = first;
    link.owner = this;
    link.allowData(maxFrameLength, checksum);
    this.#statusDue = isClient || incoming.settled > incoming.acknowledged;
    this.#endDue = this.#ending !== undefined;
    room.admit();
    link.wake();
  }

  /** Lets go of the link, if there is one. */
  detach(reason: unknown): void {
    const link = this.#link;
    this.#link = undefined;
    this.#chunk = undefined;
    this.#statusDue = this.#pingDue = false;
    link?.abort(reason);
  }

  /** Closes the link when what is due is written. */
  close(): void {
    const link = this.#link;
    this.#link = undefined;
    link?.close();
  }

  stop(): void {
    this.#acknowledger.stop();
  }

  // --- Hearing -----------------------------------------------------------

  onData(payload: Uint8Array, sequence: number): void {
    if (!this.isConfirmed) this.#confirm();
    this.#parts.incoming.push(payload, sequence);
  }

  #confirm(): void {
    this.isConfirmed = true;
    this.#parts.onConfirmed();
  }

  whenTaken(): Promise<void> | undefined {
    return this.#parts.incoming.whenTaken();
  }

  onControl(kind: number, payload: Uint8Array): void {
    if (!this.isConfirmed) this.#confirm();
    const { incoming } = this.#parts;
    if (kind === Kind.Status || kind === Kind.Ping) {
      const { sent, acknowledged } = decodeStatus(payload);
      if (sent > incoming.expected) throw incoming.gap(sent);
      this.#checkSent(acknowledged);
      this.#acknowledged(acknowledged);
      if (kind === Kind.Ping) this.#tellStatus();
    } else if (kind === Kind.End) {
      const { ending, sent } = decodeEnd(payload);
      if (sent !== incoming.expected && ending !== Ending.Abort) {
        throw incoming.gap(sent);
      }
      this.#parts.onEnd(ending);
    } else {
      throw new ProtocolError(
        `Cannot receive: a frame of kind ${kind} has no place in a session`,
        { code: "malformed" },
      );
    }
  }

  #checkSent(acknowledged: number): void {
    const { read } = this.#parts.outgoing.log;
    if (acknowledged <= read) return;
    throw new ProtocolError(
      `Cannot take acknowledgement of ${acknowledged} messages: ` +
        `${read} were sent`,
      { code: "desynchronised" },
    );
  }

  #acknowledged(sequence: number): void {
    const { outgoing } = this.#parts;
    if (sequence <= outgoing.log.acknowledged) return;
    outgoing.acknowledge(sequence);
    this.wake();
    this.#parts.onAcknowledged();
  }

  onSilence(): void {
    this.#pingDue = true;
    this.wake();
    this.#parts.outgoing.log.trim();
  }

  onLost(error: unknown): void {
    this.detach(error);
    this.#parts.onLost(error);
  }

  // --- Saying ------------------------------------------------------------

  /** There is something to write. */
  wake(): void {
    this.#link?.wake();
  }

  /** There is more to acknowledge: at once, or when it is convenient. */
  noteSettled(urgent: boolean): void {
    this.#acknowledger.note(urgent);
  }

  #tellStatus(): void {
    this.#statusDue = true;
    this.wake();
  }

  /** This side ends, when what it has sent is written. */
  tellEnd(ending: number): void {
    this.#ending = ending;
    this.#endDue = true;
    this.wake();
  }

  fill(): Uint8Array | undefined {
    if (this.#chunk !== undefined) {
      const chunk = this.#chunk;
      this.#chunk = undefined;
      return chunk;
    }
    const { outgoing } = this.#parts;
    const { log, room } = outgoing;
    const told = this.#status();
    const chunk = log.readChunk(room.maxMessages, room.maxBytes);
    if (log.read > outgoing.written) outgoing.written = log.read;
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
      sent: this.#parts.outgoing.log.read,
      acknowledged: this.#parts.incoming.acknowledge(),
    });
  }
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
