// What a session says and hears, over one connection after the other.

import { ConnectionClosedError } from "../duplex.ts";
import { Acknowledger } from "./_acknowledger.ts";
import { ProtocolError } from "./delivery_error.ts";
import type { DataRun } from "./_frame_header.ts";
import type { Incoming } from "./_incoming.ts";
import type { Link, LinkOwner } from "./_link.ts";
import type { Outgoing } from "./_outgoing.ts";
import { Speaker } from "./_speaker.ts";
import {
  decodeEnd,
  decodeStatus,
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
  #speaker: Speaker<In, Out>;

  constructor(parts: LineParts<In, Out>) {
    this.#parts = parts;
    this.#speaker = new Speaker(parts.incoming, parts.outgoing);
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
    this.#speaker.restart(
      first,
      isClient || incoming.settled > incoming.acknowledged,
    );
    link.owner = this;
    link.allowData(maxFrameLength, checksum);
    room.admit();
    link.wake();
  }

  /** Lets go of the link, if there is one. */
  detach(reason: unknown): void {
    const link = this.#link;
    this.#link = undefined;
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

  onData(bytes: Uint8Array, start: number, end: number, run: DataRun): void {
    if (!this.isConfirmed) this.#confirm();
    this.#parts.incoming.push(bytes, start, end, run);
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
    this.#speaker.ping();
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
    this.#speaker.tellStatus();
    this.wake();
  }

  /** This side ends, when what it has sent is written. */
  tellEnd(ending: number): void {
    this.#speaker.tellEnd(ending);
    this.wake();
  }

  fill(): Uint8Array | undefined {
    return this.#speaker.next();
  }
}
