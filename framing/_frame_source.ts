// Where a channel's frames come from: a Web Stream, or a buffer of its own.

import type { RawReader, RawSource } from "../_async/raw_io.ts";
import type { FrameDecoder } from "./format.ts";
import { HeaderDecoder } from "./_header_decoder.ts";
import type { EmitRange } from "./_range_codec.ts";
import { transferred } from "./_transferred.ts";

/** Who waits for bytes. Throws nothing. */
export interface FrameReader {
  /** `more` is `false` at the end. */
  onRead(more: boolean): void;
  onError(error: unknown): void;
}

/** Bytes that come, and the frames in them. */
export interface FrameSource {
  /** Whether bytes are here already. */
  tryRead(): boolean;
  /** As of a `RawSource`. */
  spin?: () => Promise<boolean>;
  /** Waits for bytes, and tells `reader` in a later turn of promises. */
  read(reader: FrameReader): void;
  /** Emits the frames that are whole with what was read. */
  decode(emit: EmitRange): void;
  /** Tells whether something was kept of what `decode` emitted. */
  recycle(kept: boolean): void;
}

/** Reads chunks of any stream. */
export class StreamSource implements FrameSource {
  #reader: ReadableStreamDefaultReader<Uint8Array>;
  #decoder: FrameDecoder;
  #chunk: Uint8Array | undefined;

  constructor(
    reader: ReadableStreamDefaultReader<Uint8Array>,
    decoder: FrameDecoder,
  ) {
    this.#reader = reader;
    this.#decoder = decoder;
  }

  tryRead(): boolean {
    return false;
  }

  read(reader: FrameReader): void {
    this.#reader.read().then(({ done, value }) => {
      this.#chunk = value;
      reader.onRead(!done);
    }, (error) => reader.onError(error));
  }

  decode(emit: EmitRange): void {
    const chunk = this.#chunk!;
    this.#chunk = undefined; // an idle channel keeps nothing alive
    this.#decoder.push(chunk, (frame) => emit(frame, 0, frame.length));
  }

  recycle(): void {} // a chunk is the stream's
}

/** The first buffer's bytes: idle channels are many. */
const FIRST_SIZE = 1024;
/** The most bytes of a buffer, but for one longer frame: four of 64 KiB fit. */
const MAX_SIZE = 260 * 1024;
/**
 * The most bytes of one read. After one that the socket could not fill, the
 * runtime asks the kernel for news before the next: fill many rather than few.
 */
const MAX_READ = 64 * 1024;
/** The same inside of a long frame. */
const LONG_READ = 128 * 1024;
/** So many short reads in a row, and a buffer is too large. */
const SHORT_READS = 8;
/**
 * A buffer for a long frame has at most so many times the bytes that came of it:
 * a prefix alone costs nothing, and long frames are copied once at most or twice.
 */
const GROWTH = 16;

const EMPTY = new Uint8Array(0);

/**
 * Reads into a buffer of its own, from which frames are views. What was handed
 * out is never written again: a buffer is used up from its start to its end, and
 * the start of a frame that does not fit moves to the next one.
 */
export class BufferSource implements FrameSource, RawReader {
  readonly spin: (() => Promise<boolean>) | undefined;
  #source: RawSource;
  #decoder: FrameDecoder;
  /** The decoder, where it can leave a partial frame in the buffer. */
  #inPlace: HeaderDecoder | undefined;
  #buffer = EMPTY;
  /** What came and was not decoded. */
  #start = 0;
  #end = 0;
  #nextSize = FIRST_SIZE;
  /** Nothing was kept of what is from here on. */
  #free = 0;
  /** The room from there: most often it is the next again. */
  #freeRoom: Uint8Array | undefined;
  /** A buffer of which nothing was handed out, while long frames come. */
  #spare: Uint8Array<ArrayBuffer> | undefined;
  #shortReads = 0;
  /** Who waits, and for how many bytes there is room. */
  #frameReader: FrameReader | undefined;
  #roomLength = 0;

  constructor(source: RawSource, decoder: FrameDecoder) {
    this.spin = source.spin;
    this.#source = source;
    this.#decoder = decoder;
    if (decoder instanceof HeaderDecoder) this.#inPlace = decoder;
  }

  tryRead(): boolean {
    if (this.#source.tryRead === undefined) return false;
    const room = this.#room();
    const count = this.#source.tryRead(room);
    if (count === 0) return false;
    if (this.#buffer.length === 0) throw transferred();
    this.#took(count, room.length);
    return true;
  }

  read(reader: FrameReader): void {
    const room = this.#room();
    this.#roomLength = room.length;
    this.#frameReader = reader;
    this.#source.read(room, this);
  }

  onCount(count: number | null): void {
    const reader = this.#frameReader!;
    if (count === null) return reader.onRead(false);
    if (this.#buffer.length === 0) return reader.onError(transferred());
    this.#took(count, this.#roomLength);
    reader.onRead(true);
  }

  onError(error: unknown): void {
    this.#frameReader!.onError(error);
  }

  decode(emit: EmitRange): void {
    if (this.#inPlace !== undefined) {
      this.#start = this.#inPlace.decodeInPlace(
        this.#buffer,
        this.#start,
        this.#end,
        emit,
      );
      return;
    }
    const chunk = this.#buffer.subarray(this.#start, this.#end);
    this.#start = this.#end;
    this.#decoder.push(chunk, (frame) => emit(frame, 0, frame.length));
  }

  recycle(kept: boolean): void {
    // Other decoders may hold on to the bytes of a partial frame.
    if (kept || this.#inPlace === undefined) this.#free = this.#start;
    else if (this.#start === this.#end) this.#start = this.#end = this.#free;
  }

  #took(count: number, room: number): void {
    this.#end += count;
    const size = this.#nextSize;
    if (count === room && count >= size / 4) { // more was there
      this.#nextSize = Math.min(4 * size, MAX_SIZE);
      this.#shortReads = 0;
    } else if (count >= size / 16) this.#shortReads = 0;
    else if (size > FIRST_SIZE && ++this.#shortReads >= SHORT_READS) {
      this.#nextSize = size / 4;
      this.#shortReads = 0;
    }
  }

  /** Where the next bytes go: never empty. */
  #room(): Uint8Array {
    const needed = this.#inPlace?.needed ?? 0;
    const { length } = this.#buffer;
    if (length === 0 && this.#end > this.#start) throw transferred();
    if (needed === 0) {
      // A buffer that is far too large serves a busier time no more.
      if (
        this.#end + this.#nextSize / 4 > length || length > 4 * this.#nextSize
      ) this.#renew(needed);
    } else if (
      this.#start + needed > length &&
      // The sooner it gets a buffer for all of it, the less is copied.
      (this.#end === length || needed <= this.#allowed())
    ) this.#renew(needed);
    const at = this.#end;
    if (this.#freeRoom?.byteOffset === at && needed === 0) {
      return this.#freeRoom;
    }
    const room = this.#buffer.subarray(
      at,
      at + (needed > 2 * MAX_READ ? LONG_READ : MAX_READ),
    );
    if (at === this.#free && needed === 0) this.#freeRoom = room;
    return room;
  }

  /** How long a buffer may be by what came of its frame. */
  #allowed(): number {
    return Math.max(this.#nextSize, GROWTH * (this.#end - this.#start));
  }

  #renew(needed: number): void {
    const held = this.#end - this.#start;
    const size = needed <= this.#nextSize
      ? Math.max(this.#nextSize, 2 * held)
      : Math.min(needed, this.#allowed());
    const old = this.#buffer;
    const buffer = this.#spare?.length === size
      ? this.#spare
      : new Uint8Array(size);
    this.#spare = undefined;
    if (held > 0) {
      buffer.set(old.subarray(this.#start, this.#end));
      if (this.#start === 0 && old.length === this.#nextSize) this.#spare = old;
    }
    this.#buffer = buffer;
    this.#freeRoom = undefined;
    this.#free = 0;
    this.#start = 0;
    this.#end = held;
  }
}
