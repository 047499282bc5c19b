// A channel that outlives its connections: what both ends of one have in common.

import type { WaitOptions } from "../duplex.ts";
import { checkOneOf } from "../_async/check.ts";
import { closedHere } from "../framing/_channel_errors.ts";
import type { Codec } from "../framing/codec.ts";
import { resolveLimits } from "../framing/_limits.ts";
import { msgpack } from "../framing/msgpack_codec.ts";
import { asRangeCodec } from "../framing/_range_codec.ts";
import { createCheck } from "../framing/_validate.ts";
import { handleAll } from "./_handle_all.ts";
import { Incoming } from "./_incoming.ts";
import { Line } from "./_line.ts";
import type { Link } from "./_link.ts";
import { Outgoing } from "./_outgoing.ts";
import type {
  Delivery,
  DeliveryState,
  DeliveryStats,
  ReliableChannel,
  ReliableOptions,
} from "./reliable_types.ts";
import { SendLog } from "./_send_log.ts";
import { SessionEnd } from "./_session_end.ts";
import { checkGreeting } from "./_session_greeting.ts";
import type { SessionStore } from "./session_store.ts";
import { messageIterator, messageStream } from "./_streams.ts";
import { resolveTimeouts } from "./_timeouts.ts";
import { resolveWindow, type Window } from "./window.ts";
import { type Greeting, ID_BYTES } from "./_wire.ts";

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

/** The {@linkcode ReliableChannel} of either side. */
export class Session<In, Out> implements ReliableChannel<In, Out> {
  readonly closed: Promise<void>;
  readonly timeouts: ReturnType<typeof resolveTimeouts>;
  readonly checksum: boolean;
  readonly log: SendLog;
  readonly outgoing: Outgoing<Out>;
  readonly incoming: Incoming<In>;
  readonly line: Line<In, Out>;
  readonly end: SessionEnd<In, Out>;
  id: Uint8Array = new Uint8Array(ID_BYTES);
  sessionId = "";

  #window: Required<Window>;
  #parts: SessionParts;
  #options: ReliableOptions<In, Out>;
  #readable: ReadableStream<In> | undefined;
  #writable: WritableStream<Out> | undefined;

  constructor(options: ReliableOptions<In, Out>, parts: SessionParts) {
    const { validate = {}, acknowledge = "receipt", onInvalid } = options;
    checkOneOf("acknowledge", acknowledge, ["receipt", "handled"]);
    const codec = (options.codec ?? msgpack) as Codec<unknown>;
    const rangeCodec = asRangeCodec(codec);
    const { maxFrameLength } = resolveLimits(options);
    const { isClient, checksum, onOver } = parts;
    const timeouts = this.timeouts = resolveTimeouts(options.timeouts);
    const window = this.#window = resolveWindow(options.window);
    this.#parts = parts;
    this.#options = options;
    this.checksum = checksum;
    this.log = new SendLog(checksum);
    const outgoing = this.outgoing = new Outgoing<Out>({
      log: this.log,
      codec,
      smallCodec: rangeCodec,
      check: validate.out && createCheck(validate.out, "sent"),
      window,
      maxFrameLength,
      timeout: timeouts.send,
      onAppend: () => this.line.wake(),
    });
    const incoming = this.incoming = new Incoming<In>({
      codec,
      rangeCodec,
      check: validate.in && createCheck(validate.in, "received"),
      onInvalid,
      window,
      whenHandled: acknowledge === "handled",
      onSettled: (urgent) => this.line.noteSettled(urgent),
    });
    const line = this.line = new Line<In, Out>({
      incoming,
      outgoing,
      isClient,
      maxFrameLength,
      checksum,
      onConfirmed: () => parts.onConfirmed?.(),
      onAcknowledged: () => this.end.finishHalves(),
      onEnd: (ending) => this.end.onPeerEnd(ending),
      onLost: (error) => this.#onLost(error),
    });
    const timeout = timeouts.close;
    this.end = new SessionEnd<In, Out>({
      ...{ incoming, outgoing, line, isClient, timeout, onOver },
    });
    this.closed = this.end.done;
  }

  // --- Connections -------------------------------------------------------

  /** What this side tells a peer first. Nothing may be attached. */
  greeting(flags: number): Greeting {
    return {
      flags,
      id: this.id,
      ...this.#window,
      first: this.log.acknowledged,
      received: this.incoming.expected,
      acknowledged: this.incoming.acknowledge(),
    };
  }

  setId(id: Uint8Array): void {
    this.id = id;
    this.sessionId = id.toHex();
  }

  /**
   * Goes on over this link, whose peer said `greeting`, which has to fit; writes
   * `first` first.
   */
  attach(link: Link, greeting: Greeting, first?: Uint8Array): void {
    this.line.attach(link, greeting, first);
  }

  checkGreeting(greeting: Greeting): void {
    checkGreeting(this, greeting);
  }

  #onLost(error: unknown): void {
    if (this.end.isOver) return;
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

  get state(): DeliveryState {
    if (this.end.isOver) return "closed";
    if (this.line.isAttached) return "connected";
    return this.line.connections === 0 ? "connecting" : "disconnected";
  }

  get stats(): DeliveryStats {
    return {
      sent: this.log.next,
      acknowledged: this.outgoing.acknowledged,
      resent: this.line.resent,
      received: this.incoming.expected,
      duplicates: this.incoming.duplicates,
      connections: this.line.connections,
    };
  }

  // --- Sending -----------------------------------------------------------

  get queuedBytes(): number {
    return this.log.bytes;
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

  get writable(): WritableStream<Out> {
    return this.#writable ??= new WritableStream<Out>({
      write: (message) => this.outgoing.accept(message),
      close: () => this.end.endSending(),
      abort: (reason) => this.abort(reason),
    });
  }

  // --- Receiving ---------------------------------------------------------

  receive(options?: WaitOptions): Promise<In> {
    const { signal, timeout = this.timeouts.receive } = options ?? {};
    return signal === undefined && timeout === Infinity
      ? this.incoming.receive()
      : this.incoming.receive({ signal, timeout });
  }

  tryReceive(): In | undefined {
    return this.incoming.tryReceive();
  }

  [Symbol.asyncIterator](): AsyncIterator<In> {
    return messageIterator(this.incoming, () => this.receive());
  }

  get readable(): ReadableStream<In> {
    return this.#readable ??= messageStream(
      this,
      () => this.incoming.stop(closedHere()),
    );
  }

  handle(
    handler: (message: In, delivery: Delivery) => Promise<void> | void,
  ): Promise<void> {
    return handleAll(this, handler, this.#parts.store);
  }

  // --- Ending ------------------------------------------------------------

  close(): Promise<void> {
    return this.end.close();
  }

  abort(reason?: unknown): void {
    const error = reason ?? closedHere();
    this.incoming.stop(error);
    this.end.fail(error);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
