// The streams of a session, both ways. Each side numbers what it sends.

import { msgpack } from "../framing/mod.ts";
import { type Cost, deepCost, shallowCost } from "./_cost.ts";
import {
  IncomingStream,
  type IncomingStreamHost,
  toReadable,
} from "./_incoming_stream.ts";
import { OutgoingStream, type OutgoingStreamHost } from "./_outgoing_stream.ts";
import { checkRef, type Link, violation } from "./_link.ts";
import { RpcError } from "./errors.ts";
import type { Context } from "./context.ts";
import { redact, textOnly } from "./_redact.ts";
import { fromWireError } from "./_wire_error.ts";
import { isWithinDepth } from "./_methods.ts";

/** Messages that may wait to be sent before sources have to wait too. */
const MAX_WAITING = 16;

/** All open streams. */
export class Streams implements IncomingStreamHost, OutgoingStreamHost {
  #link: Link;
  #incoming = new Map<number, IncomingStream>();
  #outgoing = new Map<number, OutgoingStream>();
  #nextId = 1;
  /** Ids grow, so that one that ended is told from one that never was. */
  #lastIncoming = 0;
  readonly cost: Cost;

  constructor(link: Link) {
    this.#link = link;
    // MessagePack keeps what a value holds; JSON may not.
    this.cost = link.options.protocol.codec === msgpack
      ? deepCost
      : shallowCost;
  }

  get size(): number {
    return this.#incoming.size + this.#outgoing.size;
  }

  /** Streams that this side sends: a drain waits for them. */
  get sending(): number {
    return this.#outgoing.size;
  }

  /** Whether one more can be sent. */
  get canSend(): boolean {
    return this.#outgoing.size < this.#link.options.maxStreams;
  }

  /** Registers a source; it is read when the peer grants credit. */
  send(
    source: AsyncIterable<unknown>,
    context?: Context,
  ): OutgoingStream {
    if (!this.canSend) {
      throw new RpcError(
        `Cannot send stream: ${this.#outgoing.size} are open, ` +
          `maxStreams is ${this.#link.options.maxStreams}`,
        { code: "overloaded" },
      );
    }
    const stream = new OutgoingStream(
      this.#nextId++,
      source,
      this,
      context,
    );
    this.#outgoing.set(stream.id, stream);
    return stream;
  }

  /**
   * Registers a stream that the peer sends; `undefined` where there are too
   * many: then the peer is told to stop.
   */
  receive(ref: unknown): IncomingStream | undefined {
    const id = checkRef(ref);
    if (id <= this.#lastIncoming) {
      throw violation(`Cannot open stream: id ${id} was used before`);
    }
    this.#lastIncoming = id;
    if (this.#incoming.size >= this.#link.options.maxStreams) {
      this.#link.postExtension("$stop", [id]);
      return undefined;
    }
    const { streamWindow } = this.#link.options;
    const stream = new IncomingStream(id, streamWindow, this);
    this.#incoming.set(id, stream);
    return stream;
  }

  /** Throws where the peer names no kind of stream. */
  static checkKind(kind: unknown): void {
    if (kind !== "iterable" && kind !== "readable") {
      throw violation(`Cannot open stream: unknown kind ${String(kind)}`);
    }
  }

  /** The form that the source had. */
  static present(stream: IncomingStream, kind: unknown): unknown {
    Streams.checkKind(kind);
    return kind === "readable" ? toReadable(stream) : stream;
  }

  /** `$items [id, items]` */
  onItems([ref, items]: unknown[]): void {
    if (!Array.isArray(items)) throw violation("Cannot read stream: no items");
    const stream = this.#find(ref);
    if (stream === undefined) return;
    for (const item of items) {
      if (!isWithinDepth(item, this.#link.options.maxDepth)) {
        throw violation(
          `Cannot read stream: an item is nested deeper than ` +
            `maxDepth ${this.#link.options.maxDepth}`,
        );
      }
    }
    if (!stream.push(items)) {
      throw violation(`Cannot read stream ${stream.id}: it exceeds its credit`);
    }
  }

  /** `$end [id]` or `$end [id, error]` */
  onEnd([ref, error]: unknown[]): void {
    const stream = this.#find(ref);
    if (stream === undefined) return;
    this.#incoming.delete(stream.id);
    if (error === undefined || error === null) stream.end();
    else stream.fail(fromWireError(error));
  }

  /** `$credit [id, amount]` */
  onCredit([ref, amount]: unknown[]): void {
    const credit = checkRef(amount);
    this.#outgoing.get(checkRef(ref))?.grant(credit);
  }

  /** `$stop [id]` */
  onStop([ref]: unknown[]): void {
    this.#outgoing.get(checkRef(ref))?.stop();
  }

  #find(ref: unknown): IncomingStream | undefined {
    const id = checkRef(ref);
    if (id > this.#lastIncoming) {
      throw violation(`Cannot read stream: id ${id} was never opened`);
    }
    return this.#incoming.get(id);
  }

  /** The connection ended. */
  close(error: unknown): void {
    for (const stream of this.#incoming.values()) stream.fail(error);
    this.#incoming.clear();
    for (const stream of [...this.#outgoing.values()]) stream.stop();
  }

  // What the ends of streams ask for: see IncomingStreamHost.

  credit(id: number, amount: number): void {
    this.#link.postExtension("$credit", [id, amount]);
  }

  stop(id: number): void {
    this.#incoming.delete(id);
    this.#link.postExtension("$stop", [id]);
  }

  // And see OutgoingStreamHost.

  room(): Promise<void> | undefined {
    return this.#link.room(MAX_WAITING);
  }

  items(id: number, items: unknown[], fail: (error: unknown) => void): void {
    this.#link.postExtension("$items", [id, items], fail);
  }

  end(id: number): void {
    this.#link.postExtension("$end", [id]);
  }

  fail(id: number, error: unknown, context: Context | undefined): void {
    const wire = redact(this.#link, error, context);
    this.#link.postExtension(
      "$end",
      [id, wire],
      () => this.#link.postExtension("$end", [id, textOnly(wire)]),
    );
  }

  done(id: number): void {
    this.#outgoing.delete(id);
    this.#link.settled();
  }
}
