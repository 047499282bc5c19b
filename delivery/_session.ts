// A channel that outlives its connections: what both ends of one have in common.

import { ConnectionClosedError, type WaitOptions } from "../duplex.ts";
import {
  closedHere,
  endedByPeer,
  isCleanEnd,
} from "../framing/_channel_errors.ts";
import type { Codec } from "../framing/codec.ts";
import { createCheck } from "../framing/_validate.ts";
import { msgpack } from "../framing/msgpack_codec.ts";
import { resolveLimits } from "../framing/_limits.ts";
import { ProtocolError } from "./delivery_error.ts";
import { Incoming, NOTHING, Refused } from "./_incoming.ts";
import type { Link, LinkOwner } from "./_link.ts";
import { Outgoing } from "./_outgoing.ts";
import type {
  Delivery,
  DeliveryState,
  DeliveryStats,
  ReliableChannel,
  ReliableOptions,
} from "./reliable_types.ts";
import { SendLog } from "./_send_log.ts";
import type { SessionStore } from "./session_store.ts";
import { iteration, messageStream } from "./_streams.ts";
import { resolveTimeouts } from "./_timeouts.ts";
import { resolveWindow, type Window } from "./window.ts";
import {
  decodeEnd,
  decodeStatus,
  encodeEnd,
  encodeStatus,
  Ending,
  Flag,
  type Greeting,
  ID_BYTES,
  Kind,
} from "./_wire.ts";
import { checkOneOf } from "../_async/check.ts";

/** What a session can be told besides its options. */
export interface SessionParts {
  /** A client comes back by itself: its peer may still confirm an end. */
  isClient: boolean;
  checksum: boolean;
  store?: SessionStore;
  /** The link is gone: the client makes another, the server waits for one. */
  onDetached?: (error: unknown) => void;
  /** Called once, when the peer has shown that it knows of the session. */
  onConfirmed?: () => void;
  /** Called once, when the session is over. */
  onOver?: () => void;
}

/** Small data goes with what is told before it in one write. */
const SMALL = 4 * 1024;
/** How long an acknowledgement may wait for company, in milliseconds. */
const ACKNOWLEDGE_DELAY = 5;
const MAX_TIMER = 2 ** 31 - 1;
const MANY = 64;

/** The {@linkcode ReliableChannel} of either side. */
export class Session<In, Out> implements ReliableChannel<In, Out>, LinkOwner {
  readonly closed: Promise<void>;
  readonly timeouts: ReturnType<typeof resolveTimeouts>;
  readonly maxFrameLength: number;
  readonly checksum: boolean;
  readonly log: SendLog;
  readonly outgoing: Outgoing<Out>;
  readonly incoming: Incoming<In>;
  id: Uint8Array = new Uint8Array(ID_BYTES);
  sessionId = "";
  state: DeliveryState = "connecting";
  /** Whether anything came from the peer but its greeting. */
  isConfirmed = false;

  #parts: SessionParts;
  #options: ReliableOptions<In, Out>;
  #ownWindow: Required<Window>;
  #link: Link | undefined;
  #connections = 0;
  #resent = 0;

  /** What the link is to write before data. */
  #statusDue = false;
  #pingDue = false;
  #endDue = false;
  /** Data that waits behind what is told. */
  #chunk: Uint8Array | undefined;
  #acknowledging = false;
  #acknowledgeTimer: ReturnType<typeof setTimeout> | undefined;

  #done = Promise.withResolvers<void>();
  #over = false;
  #closing: Promise<void> | undefined;
  /** How this side ended, or is ending. */
  #ending: number | undefined;
  #peerEnding: number | undefined;
  #peerEnded = Promise.withResolvers<void>();
  #readable: ReadableStream<In> | undefined;
  #writable: WritableStream<Out> | undefined;

  constructor(options: ReliableOptions<In, Out>, parts: SessionParts) {
    const { codec = msgpack, validate = {}, acknowledge = "receipt" } = options;
    checkOneOf("acknowledge", acknowledge, ["receipt", "handled"]);
    this.timeouts = resolveTimeouts(options.timeouts);
    this.#ownWindow = resolveWindow(options.window);
    this.maxFrameLength = resolveLimits(options).maxFrameLength;
    this.checksum = parts.checksum;
    this.#parts = parts;
    this.#options = options;
    this.log = new SendLog(this.checksum);
    this.outgoing = new Outgoing<Out>({
      log: this.log,
      codec: codec as Codec<unknown>,
      check: validate.out && createCheck(validate.out, "sent"),
      window: this.#ownWindow,
      maxFrameLength: this.maxFrameLength,
      timeout: this.timeouts.send,
      onAppend: () => this.#link?.wake(),
    });
    this.incoming = new Incoming<In>({
      codec: codec as Codec<unknown>,
      check: validate.in && createCheck(validate.in, "received"),
      onInvalid: options.onInvalid,
      window: this.#ownWindow,
      whenHandled: acknowledge === "handled",
      onSettled: this.#onSettled,
    });
    this.closed = this.#done.promise;
    this.closed.catch(() => {}); // nobody has to listen
  }

  // --- Connections -------------------------------------------------------

  /** What this side tells a peer first. Nothing may be attached. */
  greeting(flags: number): Greeting {
    return {
      flags,
      id: this.id,
      ...this.#ownWindow,
      first: this.log.acknowledged,
      received: this.incoming.expected,
      acknowledged: this.incoming.acknowledge(),
    };
  }

  /** Whether the peer's greeting fits what both have done. */
  checkGreeting({ first, received, acknowledged, flags }: Greeting): void {
    const { log, incoming } = this;
    if (
      acknowledged < log.acknowledged || received < acknowledged ||
      received > log.next ||
      ((flags & Flag.Resume) !== 0 && first > incoming.expected)
    ) {
      throw new ProtocolError(
        `Cannot resume the session: the peer has received ${received} and ` +
          `acknowledged ${acknowledged} of ${log.next} messages, and sends from ` +
          `${first} where ${incoming.expected} is expected`,
        { code: "desynchronised" },
      );
    }
  }

  /** Accepts no message before the first connection. */
  hold(): void {
    this.outgoing.room.hold();
  }

  setId(id: Uint8Array): void {
    this.id = id;
    this.sessionId = id.toHex();
  }

  /** Goes on over this link, whose peer said `greeting`; writes `first` first. */
  attach(link: Link, greeting: Greeting, first?: Uint8Array): void {
    this.detach(
      new ConnectionClosedError(
        "Cannot use the connection: the session goes on over another",
        { code: "closed" },
      ),
    );
    const { log } = this;
    this.#connections++;
    log.reuses &&= link.releases;
    this.outgoing.room.setPeer(greeting);
    this.#acknowledged(greeting.acknowledged);
    log.seek(greeting.received);
    this.#resent += Math.max(0, this.outgoing.written - greeting.received);
    this.#link = link;
    this.#chunk = first;
    link.owner = this;
    link.allowData(this.maxFrameLength, this.checksum);
    // A client confirms that it knows its session.
    this.#statusDue = this.#parts.isClient ||
      this.incoming.settled > this.incoming.acknowledged;
    this.#endDue = this.#ending !== undefined;
    this.state = "connected";
    this.outgoing.room.admit();
    link.wake();
  }

  /** Lets go of the link, if there is one. */
  detach(reason: unknown): void {
    const link = this.#link;
    if (link === undefined) return;
    this.#link = undefined;
    this.#chunk = undefined;
    this.#statusDue = this.#pingDue = false;
    if (!this.#over) this.state = "disconnected";
    link.abort(reason);
  }

  get isAttached(): boolean {
    return this.#link !== undefined;
  }

  onData(payload: Uint8Array, sequence: number): void {
    if (!this.isConfirmed) this.#confirm();
    this.incoming.push(payload, sequence);
  }

  whenTaken(): Promise<void> | undefined {
    return this.incoming.whenTaken();
  }

  #confirm(): void {
    this.isConfirmed = true;
    this.#parts.onConfirmed?.();
  }

  onControl(kind: number, payload: Uint8Array): void {
    if (!this.isConfirmed) this.#confirm();
    if (kind === Kind.Status || kind === Kind.Ping) {
      const { sent, acknowledged } = decodeStatus(payload);
      if (sent > this.incoming.expected) throw this.incoming.gap(sent);
      if (acknowledged > this.log.read) {
        throw this.#desynchronised(acknowledged);
      }
      this.#acknowledged(acknowledged);
      if (kind === Kind.Ping) {
        this.#statusDue = true;
        this.#link?.wake();
      }
    } else if (kind === Kind.End) {
      const { ending, sent } = decodeEnd(payload);
      if (sent !== this.incoming.expected && ending !== Ending.Abort) {
        throw this.incoming.gap(sent);
      }
      this.#onPeerEnd(ending);
    } else {
      throw new ProtocolError(
        `Cannot receive: a frame of kind ${kind} has no place in a session`,
        { code: "malformed" },
      );
    }
  }

  #desynchronised(acknowledged: number): ProtocolError {
    return new ProtocolError(
      `Cannot take acknowledgement of ${acknowledged} messages: ` +
        `${this.log.read} were sent`,
      { code: "desynchronised" },
    );
  }

  onSilence(): void {
    this.#pingDue = true;
    this.#link?.wake();
    this.log.trim();
  }

  onLost(error: unknown): void {
    this.detach(error);
    if (this.#over) return;
    this.report(error);
    this.#parts.onDetached?.(error);
  }

  /** Tells `onDisconnect`. */
  report(error: unknown): void {
    try {
      this.#options.onDisconnect?.(error);
    } catch { // a hook that throws must not end the session
    }
  }

  fill(): Uint8Array | undefined {
    if (this.#chunk !== undefined) {
      const chunk = this.#chunk;
      this.#chunk = undefined;
      return chunk;
    }
    const { log } = this;
    let told: Uint8Array | undefined;
    if (this.#statusDue || this.#pingDue) {
      told = encodeStatus(this.#pingDue ? Kind.Ping : Kind.Status, {
        sent: log.read,
        acknowledged: this.incoming.acknowledge(),
      });
      this.#statusDue = this.#pingDue = false;
    }
    const chunk = log.readChunk(
      this.outgoing.room.maxMessages,
      this.outgoing.room.maxBytes,
    );
    if (log.read > this.outgoing.written) this.outgoing.written = log.read;
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

  // --- Acknowledging -----------------------------------------------------

  #onSettled = (urgent: boolean): void => {
    if (this.#link === undefined) return;
    if (urgent) return this.#tellStatus();
    if (this.#acknowledging) return;
    if (!this.incoming.isEmpty) {
      this.#acknowledgeTimer ??= setTimeout(this.#onTimer, ACKNOWLEDGE_DELAY);
      return;
    }
    // The answer that the application is about to send takes it along.
    this.#acknowledging = true;
    queueMicrotask(() => queueMicrotask(() => queueMicrotask(this.#onTurn)));
  };

  #onTurn = (): void => {
    const count = this.incoming.expected - this.incoming.acknowledged;
    if (count < MANY && !this.#link?.isPartial) {
      this.#acknowledging = false;
      return this.#tellStatus();
    }
    this.#seen = this.#link?.reads ?? 0;
    setImmediate(this.#onQuiet);
  };

  #onQuiet = (): void => {
    const reads = this.#link?.reads ?? 0;
    if (this.#seen !== reads) {
      this.#seen = reads;
      setImmediate(this.#onQuiet);
      return;
    }
    this.#acknowledging = false;
    if (this.incoming.settled > this.incoming.acknowledged) this.#tellStatus();
  };

  #seen = 0;

  #onTimer = (): void => {
    this.#acknowledgeTimer = undefined;
    if (this.incoming.settled > this.incoming.acknowledged) this.#tellStatus();
  };

  #tellStatus(): void {
    this.#statusDue = true;
    this.#link?.wake();
  }

  #acknowledged(sequence: number): void {
    if (sequence <= this.log.acknowledged) return;
    this.outgoing.acknowledge(sequence);
    this.#link?.wake();
    this.#finishHalves();
  }

  // --- Sending -----------------------------------------------------------

  get queuedBytes(): number {
    return this.log.bytes;
  }

  get stats(): DeliveryStats {
    return {
      sent: this.log.next,
      acknowledged: this.outgoing.acknowledged,
      resent: this.#resent,
      received: this.incoming.expected,
      duplicates: this.incoming.duplicates,
      connections: this.#connections,
    };
  }

  get canSend(): boolean {
    return this.outgoing.canSend;
  }

  get ready(): Promise<void> {
    return this.outgoing.ready;
  }

  send(message: Out, options?: WaitOptions): Promise<void> {
    return this.outgoing.send(message, options);
  }

  trySend(message: Out): boolean {
    return this.outgoing.trySend(message);
  }

  flush(options?: WaitOptions): Promise<void> {
    return this.outgoing.flush(options);
  }

  // --- Receiving ---------------------------------------------------------

  receive(options?: WaitOptions): Promise<In> {
    const { signal, timeout = this.timeouts.receive } = options ?? {};
    return signal === undefined && timeout === Infinity
      ? this.incoming.receive()
      : this.incoming.receive({ signal, timeout });
  }

  tryReceive(): In | undefined {
    this.incoming.settle();
    const item = this.incoming.take();
    if (item === NOTHING) return undefined;
    if (item instanceof Promise) {
      item.catch(() => {});
      throw new TypeError("Cannot tryReceive: the validator is async");
    }
    if (item instanceof Refused) throw item.error;
    return item;
  }

  [Symbol.asyncIterator](): AsyncIterator<In> {
    return {
      next: () => {
        this.incoming.settle();
        const item = this.incoming.take();
        if (!(item instanceof Promise || item instanceof Refused)) {
          if (item !== NOTHING) {
            return Promise.resolve({ done: false, value: item });
          }
        } else return iteration(this.incoming.open(item));
        return iteration(this.receive());
      },
    };
  }

  async handle(
    handler: (message: In, delivery: Delivery) => Promise<void> | void,
  ): Promise<void> {
    const { incoming } = this;
    incoming.holdUntilHandled();
    for (;;) {
      let message: In;
      try {
        message = await this.receive({ timeout: Infinity });
      } catch (error) {
        if (isCleanEnd(error)) return;
        throw error;
      }
      const sequence = incoming.last;
      try {
        await handler(message, { sessionId: this.sessionId, sequence });
        await this.#parts.store?.save?.(this.sessionId, sequence + 1);
      } catch (error) {
        this.abort(error);
        throw error;
      }
      incoming.settle();
    }
  }

  get readable(): ReadableStream<In> {
    return this.#readable ??= messageStream(
      this,
      () => this.incoming.stop(closedHere()),
    );
  }

  get writable(): WritableStream<Out> {
    return this.#writable ??= new WritableStream<Out>({
      write: (message) => this.outgoing.accept(message),
      close: () => this.endSending(),
      abort: (reason) => this.abort(reason),
    });
  }

  // --- Ending ------------------------------------------------------------

  /** Says that no more follows. Resolves when the peer has it all. */
  async endSending(): Promise<void> {
    await this.outgoing.seal(closedHere());
    await this.outgoing.drain(Infinity);
    if (this.#over) return;
    this.#end(Ending.Half);
    this.#finishHalves();
  }

  #end(ending: number): void {
    this.#ending = Math.max(this.#ending ?? 0, ending);
    this.#endDue = true;
    this.#link?.wake();
  }

  #onPeerEnd(ending: number): void {
    if (this.#peerEnding !== undefined && this.#peerEnding >= ending) return;
    this.#peerEnding = ending;
    this.#peerEnded.resolve();
    if (ending === Ending.Half) {
      this.incoming.finish(endedByPeer());
      return this.#finishHalves();
    }
    if (ending === Ending.Abort) {
      return this.fail(
        new ConnectionClosedError(
          "Cannot use the channel: the peer aborted it",
          { code: "lost" },
        ),
        { keepReceived: true, quiet: true },
      );
    }
    this.incoming.finish(endedByPeer());
    this.outgoing.fail(endedByPeer());
    if (this.#ending !== Ending.Full) {
      this.#end(Ending.Full);
      this.#finish();
    }
  }

  /** Both sides have ended and have everything: it is over. */
  #finishHalves(): void {
    if (
      this.#ending !== Ending.Half || this.#peerEnding !== Ending.Half ||
      this.log.acknowledged < this.log.next
    ) return;
    this.close();
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    if (this.#over) return;
    await this.outgoing.seal(closedHere());
    this.incoming.settle();
    this.incoming.stop(closedHere());
    try {
      await this.outgoing.drain(this.timeouts.close);
      if (this.#over) return;
      this.#end(Ending.Full);
      if (this.#peerEnding !== Ending.Full) await this.#waitForPeer();
    } catch (error) {
      return this.fail(error);
    }
    this.#finish();
  }

  /** The peer confirms the end; without it, all is acknowledged anyhow. */
  #waitForPeer(): Promise<void> | undefined {
    if (
      this.#link === undefined &&
      (this.#connections === 0 || !this.#parts.isClient)
    ) return;
    this.#peerEnded = Promise.withResolvers();
    return new Promise((resolve) => {
      const timer = setTimeout(
        resolve,
        Math.min(this.timeouts.close, MAX_TIMER),
      );
      this.#peerEnded.promise.then(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** The clean end. */
  #finish(): void {
    if (this.#over) return;
    this.#stop();
    this.#done.resolve();
    this.#link?.close();
    this.#link = undefined;
    this.#parts.onOver?.();
  }

  abort(reason?: unknown): void {
    const error = reason ?? closedHere();
    this.incoming.stop(error);
    this.fail(error);
  }

  /** The end that is none in order. */
  fail(
    error: unknown,
    { keepReceived = false, quiet = false } = {},
  ): void {
    if (this.#over) return;
    this.#stop();
    if (keepReceived) this.incoming.finish(error);
    else this.incoming.stop(error);
    this.outgoing.fail(error);
    this.#done.reject(error);
    const link = this.#link;
    if (link !== undefined) {
      if (!quiet) {
        this.#ending = Ending.Abort;
        this.#endDue = true;
        link.wake();
      }
      link.close();
      this.#link = undefined;
    }
    this.#parts.onOver?.();
  }

  #stop(): void {
    this.#over = true;
    this.state = "closed";
    clearTimeout(this.#acknowledgeTimer);
    this.#peerEnded.resolve();
  }

  /** Whether it is over, and neither side can want it back. */
  get endedInOrder(): boolean {
    return this.#over && this.#ending === Ending.Full;
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** Whether the session is about to end in order, with all acknowledged. */
  get isEnding(): boolean {
    return this.#ending !== undefined;
  }

  /** The peer has forgotten a session that was about to end. */
  confirmEnd(): void {
    if (this.#ending === Ending.Full) return this.#peerEnded.resolve();
    this.fail(
      new ConnectionClosedError(
        "Cannot receive: the peer has forgotten the session",
        { code: "lost" },
      ),
      { keepReceived: true },
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
