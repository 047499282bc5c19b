// The receiving half of a channel.

import { MAX_TIMER } from "../_async/wait.ts";
import type { WaitOptions } from "../duplex.ts";
import type { Codec } from "./codec.ts";
import type { FrameDecoder } from "./format.ts";
import { FrameError } from "./frame_error.ts";
import type { FrameReader, FrameSource } from "./_frame_source.ts";
import { invalidMessage } from "./_invalid_message.ts";
import { asRangeCodec, type RangeCodec } from "./_range_codec.ts";
import { transferredEarlier } from "./_transferred.ts";
import type { Check } from "./_validate.ts";
import { WaitList } from "./_wait_list.ts";

/** What an {@linkcode Inbox} is made of. */
export interface InboxParts<In> {
  source: FrameSource;
  /** The source's. */
  decoder: FrameDecoder;
  codec: Codec<unknown>;
  check: Check<In> | undefined;
  onInvalid: ((error: FrameError) => void) | undefined;
  partialFrameTimeout: number;
  /** The peer's clean end. */
  onEnd: () => void;
  /** Bytes that are no frame, or a stream that broke. */
  onFail: (error: unknown) => void;
}

/** Who takes messages at once, as they are decoded. */
export interface Taker<In> {
  /** Takes one, and throws nothing; `false` where it wants no more for now. */
  take(message: In): boolean;
  /** The messages that came together were taken. */
  turnOver(): void;
}

/** A message that was refused, in the place where it would have been. */
export class Refused {
  constructor(readonly error: FrameError) {}
}

/** Told apart from every message. */
export const NOTHING = Symbol("nothing");

/**
 * Reads bytes, decodes their frames and hands the messages out in order. The
 * next chunk is read when the messages of the last one have been taken, so a
 * slow consumer holds one chunk's messages, and then its peer.
 */
export class Inbox<In> implements FrameReader {
  /** Why no more messages come, once none do. */
  end: unknown;
  #parts: InboxParts<In>;
  /** The codec, where it needs no view of a frame. */
  #rangeCodec: RangeCodec | undefined;
  #queue: (In | Refused | undefined)[] = [];
  #head = 0;
  #tail = 0;
  #waiting = new WaitList<In, undefined>();
  #taker: Taker<In> | undefined;
  #handing: PromiseWithResolvers<void> | undefined;
  #emptied: (() => void) | undefined;
  /** Whether a message of the last bytes may hold views into them. */
  #keeps = false;
  /** Async checks that run, in the order of their messages. */
  #checks: Promise<void> | undefined;
  #partialTimer: ReturnType<typeof setTimeout> | undefined;
  /** Raised when the partial frame is not the one that the timer was set for. */
  #progress = false;

  constructor(parts: InboxParts<In>) {
    this.#parts = parts;
    this.#rangeCodec = asRangeCodec(parts.codec);
    // What is here already is for hooks that use the channel, once it is made.
    queueMicrotask(() => this.#next());
  }

  /** The next message that is here, a {@linkcode Refused} one, or `NOTHING`. */
  take(): In | Refused | typeof NOTHING {
    if (this.#head === this.#tail) return NOTHING;
    const item = this.#queue[this.#head]!;
    this.#queue[this.#head++] = undefined;
    if (this.#head === this.#tail) {
      this.#head = this.#tail = 0;
      this.#emptied?.();
    }
    return this.#keeps && isTransferred(item) ? transferredBefore() : item;
  }

  receive(options?: WaitOptions): Promise<In> {
    if (options?.signal?.aborted) return Promise.reject(options.signal.reason);
    const item = this.take();
    if (item instanceof Refused) return Promise.reject(item.error);
    if (item !== NOTHING) return Promise.resolve(item);
    if (this.end !== undefined) return Promise.reject(this.end);
    return this.#waiting.add("Cannot receive", undefined, options);
  }

  /**
   * Hands the messages that come to `taker`, for whom a promise each would cost
   * more than the message. Resolves when it wants no more, or some are queued;
   * rejects with the end.
   */
  handTo(taker: Taker<In>): Promise<void> {
    if (this.#head !== this.#tail) return Promise.resolve();
    if (this.end !== undefined) return Promise.reject(this.end);
    this.#taker = taker;
    this.#handing = Promise.withResolvers();
    return this.#handing.promise;
  }

  #dismiss(): void {
    this.#taker = undefined;
    this.#handing?.resolve();
  }

  /** Ends it from this side. What is queued is dropped. */
  stop(reason: unknown): void {
    this.#queue = [];
    this.#head = this.#tail = 0;
    this.finish(reason);
  }

  /** No more messages come after those queued. */
  finish(reason: unknown): void {
    clearTimeout(this.#partialTimer);
    this.#partialTimer = undefined;
    this.end ??= reason;
    this.#waiting.rejectAll(this.end);
    this.#taker = undefined;
    this.#handing?.reject(this.end);
    this.#emptied?.();
  }

  /** Takes what is here, and waits for more. */
  #next(): void {
    const { source } = this.#parts;
    try {
      while (this.end === undefined) {
        if (source.tryRead()) {
          if (!this.#handOut()) return;
        } else if (source.spin !== undefined) {
          this.#spin(source.spin());
          return;
        } else return source.read(this);
      }
    } catch (error) {
      this.onError(error);
    }
  }

  async #spin(found: Promise<boolean>): Promise<void> {
    const { source } = this.#parts;
    try {
      const isHere = await found && source.tryRead();
      if (this.end !== undefined) return;
      if (!isHere) source.read(this);
      else if (this.#handOut()) this.#next();
    } catch (error) {
      this.onError(error);
    }
  }

  onRead(more: boolean): void {
    if (this.end !== undefined) return;
    if (!more) {
      this.#finishReading();
      return;
    }
    try {
      if (this.#handOut()) this.#next();
    } catch (error) {
      this.onError(error);
    }
  }

  async onError(error: unknown): Promise<void> {
    await this.#checks;
    if (this.end === undefined) this.#parts.onFail(error);
  }

  async #finishReading(): Promise<void> {
    const { decoder, onEnd } = this.#parts;
    try {
      decoder.end((frame) => this.#emit(frame, 0, frame.length));
      await this.#checks;
    } catch (error) {
      return this.onError(error);
    }
    onEnd();
  }

  /** Hands out what came; `false` where it waits, and goes on by itself. */
  #handOut(): boolean {
    const { source } = this.#parts;
    this.#keeps = false;
    source.decode(this.#emit);
    source.recycle(this.#keeps);
    this.#taker?.turnOver();
    if (this.#checks !== undefined || this.#tail > 0) {
      this.#whenTaken();
      return false;
    }
    if (this.end === undefined) this.#watchPartial();
    return true;
  }

  async #whenTaken(): Promise<void> {
    try {
      if (this.#checks !== undefined) await this.#checks;
      if (this.#tail > 0) await this.#whenEmptied();
      if (this.end !== undefined) return;
      this.#watchPartial();
      this.#next();
    } catch (error) {
      this.onError(error);
    }
  }

  #whenEmptied(): Promise<void> {
    return new Promise((resolve) => {
      this.#emptied = () => {
        this.#emptied = undefined;
        this.#progress = true; // the time until now was this side's
        resolve();
      };
    });
  }

  #emit = (bytes: Uint8Array, start: number, end: number): void => {
    const { codec, check } = this.#parts;
    this.#progress = true;
    let item: In | Refused | Promise<In | Refused>;
    try {
      let message: unknown;
      if (this.#rangeCodec === undefined) {
        this.#keeps = true;
        message = codec.decode(bytes.subarray(start, end));
      } else {
        message = this.#rangeCodec.decodeRange(bytes, start, end);
        if (this.#rangeCodec.keeps !== false) this.#keeps = true;
      }
      item = check === undefined ? message as In : check(message) as In;
    } catch (error) {
      item = new Refused(invalidMessage("decode", error));
    }
    if (this.#checks === undefined && !(item instanceof Promise)) {
      return this.#deliver(item);
    }
    this.#deliverInOrder(item);
  };

  /** An async check may be done before that of an earlier message. */
  #deliverInOrder(item: In | Refused | Promise<In | Refused>): void {
    const checks = Promise.allSettled([item, this.#checks]).then(([result]) => {
      this.#deliver(
        result.status === "fulfilled"
          ? result.value
          : new Refused(invalidMessage("decode", result.reason)),
      );
      if (this.#checks === checks) this.#checks = undefined;
    });
    this.#checks = checks;
  }

  #deliver(item: In | Refused): void {
    if (this.end !== undefined) return;
    if (item instanceof Refused && this.#parts.onInvalid !== undefined) {
      return this.#reportInvalid(item.error);
    }
    if (this.#taker !== undefined) {
      if (!(item instanceof Refused)) {
        if (!this.#taker.take(item)) this.#dismiss();
        return;
      }
      this.#dismiss();
    }
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#queue[this.#tail++] = item;
    else if (item instanceof Refused) waiting.reject(item.error);
    else waiting.resolve(item);
  }

  #reportInvalid(error: FrameError): void {
    try {
      this.#parts.onInvalid!(error);
    } catch (thrown) {
      this.#parts.onFail(thrown);
    }
  }

  /** Watches a frame that is partial while the peer is waited for. */
  #watchPartial(): void {
    const { decoder, partialFrameTimeout } = this.#parts;
    if (
      this.#partialTimer !== undefined || decoder.buffered === 0 ||
      partialFrameTimeout > MAX_TIMER
    ) return; // re-arming for each chunk would cost more than the chunk
    this.#progress = false;
    this.#partialTimer = setTimeout(() => {
      this.#partialTimer = undefined;
      if (this.#progress || this.#emptied !== undefined) this.#watchPartial();
      else if (decoder.buffered > 0) this.#parts.onFail(this.#tooSlow());
    }, partialFrameTimeout);
  }

  #tooSlow(): FrameError {
    const { decoder, partialFrameTimeout } = this.#parts;
    const { buffered, expected } = decoder;
    const payload = expected === undefined
      ? ""
      : ` with a payload of ${expected}`;
    return new FrameError(
      `Cannot decode frame: ${buffered} bytes of a frame${payload} came within ` +
        `partialFrameTimeout ${partialFrameTimeout} ms`,
      { code: "timeout" },
    );
  }
}

/** Whether it is a view of memory that an earlier message took along. */
function isTransferred(item: unknown): boolean {
  return item instanceof Uint8Array && item.length === 0 &&
    (item.buffer as ArrayBuffer).detached;
}

function transferredBefore(): Refused {
  return new Refused(invalidMessage("decode", transferredEarlier()));
}
