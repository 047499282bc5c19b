import type { Connection, Duplex, Timeouts, WaitOptions } from "../duplex.ts";
import { checkInteger, describe } from "../_async/check.ts";
import { rawIoOf } from "../_async/raw_io.ts";
import {
  checkTimeout,
  MAX_TIMER,
  timeoutError,
  within,
} from "../_async/wait.ts";
import type { Channel, ChannelOptions } from "./channel_types.ts";
import type { Codec } from "./codec.ts";
import {
  closedHere,
  endedByPeer,
  isCleanEnd,
  peerOf,
  toLoss,
} from "./_channel_errors.ts";
import { BufferSource, StreamSource } from "./_frame_source.ts";
import { Inbox, NOTHING, Refused, type Taker } from "./_inbox.ts";
import { invalidMessage } from "./_invalid_message.ts";
import { lengthPrefixed } from "./length_prefixed.ts";
import { resolveLimits } from "./_limits.ts";
import { msgpack } from "./msgpack_codec.ts";
import { Outbox, type Ownership } from "./_outbox.ts";
import { asRangeCodec, type RangeCodec } from "./_range_codec.ts";
import { type Check, createCheck } from "./_validate.ts";

const HIGH_WATER_MARK = 128 * 1024;
const PARTIAL_FRAME_TIMEOUT = 30_000;
const CLOSE_TIMEOUT = 5_000;
const NO_OPTIONS: WaitOptions = {};
const DONE = Promise.resolve();

/** The {@linkcode Channel} over any duplex. */
export class DuplexChannel<In, Out> implements Channel<In, Out> {
  readonly closed: Promise<void>;
  readonly timeouts: Timeouts;
  #duplex: Duplex & Partial<Connection>;
  #reader: ReadableStreamDefaultReader<Uint8Array>;
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  #codec: Codec<unknown>;
  /** The same codec, where it can write small messages the short way. */
  #smallCodec: RangeCodec | undefined;
  #ownership: Ownership;
  #inbox: Inbox<In>;
  #outbox: Outbox;
  #checkOut: Check<Out> | undefined;
  /** Async checks of messages to send, in their order. */
  #checks: Promise<unknown> | undefined;
  #sendTimeout: number;
  #receiveTimeout: number;
  #closeTimeout: number;
  #done = Promise.withResolvers<void>();
  #over = false;
  #closing: Promise<void> | undefined;
  #writerClosed: Promise<void> | undefined;
  /** Why messages that were accepted never went out. */
  #loss: unknown;
  #readable: ReadableStream<In> | undefined;
  #writable: WritableStream<Out> | undefined;

  constructor(duplex: Duplex, options: ChannelOptions<In, Out>) {
    const {
      format = lengthPrefixed(),
      codec = msgpack,
      validate = {},
      highWaterMark = HIGH_WATER_MARK,
      timeout = Infinity,
      timeouts = {},
    } = options;
    const {
      send = timeout,
      receive = timeout,
      partialFrame: partialFrameTimeout = options.partialFrameTimeout ??
        PARTIAL_FRAME_TIMEOUT,
      close: closeTimeout = options.closeTimeout ?? CLOSE_TIMEOUT,
    } = timeouts;
    checkInteger("highWaterMark", highWaterMark, 1);
    checkTimeout("partialFrameTimeout", partialFrameTimeout);
    checkTimeout("timeout", timeout);
    this.#sendTimeout = checkTimeout("timeouts.send", send);
    this.#receiveTimeout = checkTimeout("timeouts.receive", receive);
    this.timeouts = timeouts;
    this.#closeTimeout = checkTimeout("closeTimeout", closeTimeout);
    const limits = resolveLimits(options);
    if (typeof validate !== "object") {
      throw new TypeError(
        `Invalid validate option: expected { in, out }, received ${
          describe(validate)
        }`,
      );
    }
    const check = validate.in && createCheck(validate.in, "received");
    this.#checkOut = validate.out && createCheck(validate.out, "sent");
    this.#codec = codec as Codec<unknown>;
    this.#ownership = this.#codec.encodeShared !== undefined
      ? "shared"
      : this.#codec.borrows
      ? "borrowed"
      : "owned";
    if (format.checkPayload === undefined) {
      this.#smallCodec = asRangeCodec(this.#codec);
    }
    const decoder = format.createDecoder(limits);

    this.closed = this.#done.promise;
    this.closed.catch(() => {}); // nobody has to listen
    this.#duplex = duplex;
    this.#reader = duplex.readable.getReader();
    try {
      this.#writer = duplex.writable.getWriter();
    } catch (error) {
      this.#reader.releaseLock();
      throw error;
    }
    const onWriteError = (error: unknown) => this.#onWriteError(error);
    this.#writer.closed.catch(onWriteError);
    this.#reader.closed.catch(() => {}); // the inbox's reads tell
    const raw = rawIoOf(duplex);
    this.#outbox = new Outbox({
      sink: raw.sink ?? this.#writer,
      reuses: raw.sink !== undefined,
      format,
      limits,
      highWaterMark,
      onFail: onWriteError,
    });
    this.#inbox = new Inbox({
      source: raw.source === undefined
        ? new StreamSource(this.#reader, decoder)
        : new BufferSource(raw.source, decoder),
      decoder,
      codec: this.#codec,
      check,
      onInvalid: options.onInvalid,
      partialFrameTimeout,
      onEnd: () => this.#endReceiving(),
      onFail: (error) => this.#fail(this.#toLoss(error)),
    });
  }

  get queuedBytes(): number {
    return this.#outbox.queued;
  }

  send(message: Out, options?: WaitOptions): Promise<void> {
    try {
      if (this.#checkOut === undefined) return this.#send(message, options);
      const checked = this.#checkOut(message);
      if (this.#checks === undefined && !(checked instanceof Promise)) {
        return this.#send(checked, options);
      }
      return this.#sendInOrder(checked, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #send(message: Out, options?: WaitOptions): Promise<void> {
    if (this.#outbox.end !== undefined) throw this.#outbox.end;
    options = withDefault(options, this.#sendTimeout);
    if (options?.signal?.aborted) throw options.signal.reason;
    if (this.#smallCodec !== undefined) {
      const length = this.#smallCodec.encodeSmall(message);
      if (
        length >= 0 && this.#outbox.trySendSmall(this.#smallCodec.small, length)
      ) return DONE;
    }
    const payload = this.#encode(message);
    return this.#outbox.send(payload, this.#ownership, options);
  }

  /** Messages that are checked asynchronously still leave in order. */
  #sendInOrder(
    checked: Out | Promise<Out>,
    options?: WaitOptions,
  ): Promise<void> {
    const accepted = Promise.allSettled([checked, this.#checks]).then(
      ([result]) => {
        if (this.#checks === checks) this.#checks = undefined;
        if (result.status === "rejected") throw result.reason;
        return { sent: this.#send(result.value, options) };
      },
    );
    const checks = accepted.catch(() => {}); // the sender learns of it
    this.#checks = checks;
    return accepted.then(({ sent }) => sent);
  }

  trySend(message: Out): boolean {
    if (this.#outbox.end !== undefined) throw this.#outbox.end;
    let checked: Out | Promise<Out> = message;
    if (this.#checkOut !== undefined) {
      checked = this.#checkOut(message);
      if (checked instanceof Promise) {
        checked.catch(() => {}); // it has lost its listener
        throw new TypeError("Cannot trySend: the validator is async");
      }
    }
    if (this.#checks !== undefined) return false; // earlier ones come first
    if (this.#smallCodec !== undefined) {
      const length = this.#smallCodec.encodeSmall(checked);
      if (length >= 0) {
        return this.#outbox.trySendSmall(this.#smallCodec.small, length);
      }
    }
    const payload = this.#encode(checked);
    return this.#outbox.trySend(payload, this.#ownership);
  }

  #encode(message: unknown): Uint8Array {
    try {
      return this.#codec.encodeShared?.(message) ?? this.#codec.encode(message);
    } catch (error) {
      throw invalidMessage("encode", error);
    }
  }

  /** As `Outbox.room`: what waits so need not be encoded yet. */
  room(): Promise<void> | undefined {
    return this.#outbox.room();
  }

  /** Why nothing can be sent any more, once that is so. */
  get sendingEnd(): unknown {
    return this.#outbox.end;
  }

  /** Writes what was sent now, rather than when the turn is over. */
  flushNow(): void {
    this.#outbox.flushNow();
  }

  receive(options?: WaitOptions): Promise<In> {
    return this.#inbox.receive(withDefault(options, this.#receiveTimeout));
  }

  tryReceive(): In | undefined {
    const item = this.#inbox.take();
    if (item === NOTHING) return undefined;
    if (item instanceof Refused) throw item.error;
    return item;
  }

  /** As `Inbox.handTo`: resolves when `taker` has to `tryReceive` some itself. */
  handTo(taker: Taker<In>): Promise<void> {
    return this.#inbox.handTo(taker);
  }

  [Symbol.asyncIterator](): AsyncIterator<In> {
    return {
      next: () => {
        const item = this.#inbox.take();
        if (item instanceof Refused) return Promise.reject(item.error);
        if (item !== NOTHING) {
          return Promise.resolve({ done: false, value: item });
        }
        return this.receive().then(
          (value) => ({ done: false, value }),
          (error) => {
            if (isCleanEnd(error)) return { done: true, value: undefined };
            throw error;
          },
        );
      },
    };
  }

  get readable(): ReadableStream<In> {
    return this.#readable ??= this.#createReadable();
  }

  #createReadable(): ReadableStream<In> {
    return new ReadableStream<In>({
      pull: async (controller) => {
        try {
          controller.enqueue(await this.receive());
          for (;;) {
            const item = this.#inbox.take();
            if (item === NOTHING) return;
            if (item instanceof Refused) throw item.error;
            controller.enqueue(item);
          }
        } catch (error) {
          if (isCleanEnd(error)) return controller.close();
          controller.error(error);
          this.#fail(error);
        }
      },
      cancel: (reason) => {
        this.#inbox.stop(closedHere(this.#peer));
        return this.#reader.cancel(reason);
      },
    }, { highWaterMark: 0 });
  }

  get writable(): WritableStream<Out> {
    return this.#writable ??= new WritableStream<Out>({
      write: (message) => this.send(message),
      close: () => this.#endSending(),
      abort: (reason) => this.abort(reason),
    });
  }

  async #endSending(): Promise<void> {
    await this.#checked();
    await this.#outbox.drain();
    if (this.#closing !== undefined) return this.closed; // that ends it
    this.#outbox.seal(closedHere(this.#peer));
    await this.#endWriting().catch((error) => {
      throw this.#outbox.failed ? this.#outbox.end : error;
    });
    if (this.#inbox.end !== undefined) await this.close();
  }

  /** Waits until the messages that are still checked were accepted. */
  #checked(): Promise<unknown> {
    return within(Promise.resolve(this.#checks), "Cannot close channel", {
      timeout: this.#closeTimeout,
    });
  }

  #endWriting(): Promise<void> {
    return this.#writerClosed ??= this.#writer.close();
  }

  #endReceiving(): void {
    this.#inbox.finish(endedByPeer(this.#peer));
    if (this.#outbox.end !== undefined) this.close();
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    if (this.#over) return;
    try {
      await this.#checked();
      const drained = this.#outbox.drain();
      this.#outbox.seal(closedHere(this.#peer));
      this.#inbox.stop(closedHere(this.#peer));
      const { close, closed, abort } = this.#duplex;
      if (close && closed && abort) { // a Connection: it knows how to close
        const watch = this.#watchOwnClose();
        try {
          await close.call(this.#duplex);
        } finally {
          clearInterval(watch);
        }
        await closed;
      } else await this.#closeStreams(drained);
      if (this.#loss !== undefined) throw this.#loss;
    } catch (error) {
      return this.#fail(this.#toLoss(error));
    }
    if (this.#over) return;
    this.#over = true;
    this.#done.resolve();
  }

  /** A connection bounds its close by itself, and as long by default. */
  #watchOwnClose(): ReturnType<typeof setInterval> | undefined {
    return this.#closeTimeout < CLOSE_TIMEOUT ? this.#watchClose(1) : undefined;
  }

  /** Fails it where what is queued, if so much, is the same for a whole period. */
  #watchClose(least: number): ReturnType<typeof setInterval> {
    let last = this.#outbox.queued;
    return setInterval(() => {
      const queued = this.#outbox.queued;
      if (queued === last && queued >= least) {
        this.#fail(timeoutError("Cannot close channel", this.#closeTimeout));
      }
      last = queued;
    }, Math.min(this.#closeTimeout, MAX_TIMER));
  }

  async #closeStreams(drained: Promise<void>): Promise<void> {
    const watch = this.#watchClose(0);
    try {
      await drained;
      if (this.#over) return;
      const ended = this.#endWriting().catch((error) => {
        if (!this.#outbox.failed) throw error;
      }).then(() => this.#reader.cancel());
      await Promise.race([ended, this.closed]);
    } finally {
      clearInterval(watch);
    }
  }

  abort(reason?: unknown): void {
    const error = reason ?? closedHere(this.#peer);
    this.#inbox.stop(error);
    this.#fail(error);
  }

  /** The peer takes no more, but what it sent before may still arrive. */
  #onWriteError(error: unknown): void {
    if (this.#over || this.#loss !== undefined) return;
    const loss = this.#toLoss(error);
    if (this.#outbox.queued > 0) this.#loss = loss;
    this.#outbox.fail(loss);
    if (this.#inbox.end !== undefined) this.close();
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#inbox.finish(error);
    this.#outbox.fail(error);
    this.#done.reject(error);
    this.#reader.cancel(error).catch(() => {});
    this.#writer.abort(error).catch(() => {});
    this.#duplex.abort?.(error);
  }

  get #peer(): string | undefined {
    return peerOf(this.#duplex);
  }

  #toLoss(error: unknown): unknown {
    return toLoss(error, this.#peer);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Undefined where nothing bounds the wait: the fast way. */
function withDefault(
  options: WaitOptions | undefined,
  fallback: number,
): WaitOptions | undefined {
  const { signal, timeout = fallback } = options ?? NO_OPTIONS;
  if (signal === undefined && timeout === Infinity) return undefined;
  return { signal, timeout };
}
