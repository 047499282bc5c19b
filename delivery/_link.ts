// One connection under a session: frames in, bytes out, and signs of life.

import {
  type Connection,
  ConnectionClosedError,
  type Duplex,
} from "../duplex.ts";
import { rawIoOf, type RawSink } from "../_async/raw_io.ts";
import { MAX_TIMER, timeoutError } from "../_async/wait.ts";
import { endedByPeer, peerOf } from "../framing/_channel_errors.ts";
import { FrameError } from "../framing/frame_error.ts";
import {
  BufferSource,
  type FrameSource,
  StreamSource,
} from "../framing/_frame_source.ts";
import { HeaderDecoder } from "../framing/_header_decoder.ts";
import { type DataRun, FrameHeader, verify } from "./_frame_header.ts";
import { CHECKSUM_BYTES, Kind } from "./_wire.ts";

/** Who a {@linkcode Link} works for: a greeting first, then a session. */
export interface LinkOwner {
  /** Messages: `run` tells what `bytes` are from `start` to `end`. */
  onData(bytes: Uint8Array, start: number, end: number, run: DataRun): void;
  /** Any other frame. What these two throw ends the link. */
  onControl(kind: number, payload: Uint8Array): void;
  /** Resolves when what was read is taken, or a turn later; at once if undefined. */
  whenTaken(): Promise<void> | undefined;
  /** What to write next. */
  fill(): Uint8Array | undefined;
  /** Nothing came for half of the idle timeout. */
  onSilence(): void;
  /** Called once, where the link did not end by `abort` or `close`. */
  onLost(error: unknown): void;
}

/** What bounds a link's waits, in milliseconds. */
export interface LinkTimeouts {
  idle: number;
  partialFrame: number;
  close: number;
}

/** Reads and writes one duplex until it breaks. */
export class Link {
  owner: LinkOwner;
  #duplex: Duplex & Partial<Connection>;
  #timeouts: LinkTimeouts;
  #header = new FrameHeader();
  #decoder = new HeaderDecoder(this.#header, {
    maxFrameLength: Number.MAX_SAFE_INTEGER, // the header knows the bounds
  });
  #reader: ReadableStreamDefaultReader<Uint8Array>;
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  /** The streams, or this package's own connections past theirs. */
  #source: FrameSource;
  #sink: RawSink;
  #checksums = false;
  #over = false;
  #closing = false;
  #scheduled = false;
  #writing: Promise<void> | undefined;
  #ticks: ReturnType<typeof setInterval> | undefined;
  /** Raised by what the timer watches for. */
  #heard = false;
  /** Counts the reads that brought something. */
  reads = 0;
  #wasWhole = false;
  #silent = 0;
  #partial = 0;

  constructor(
    duplex: Duplex,
    owner: LinkOwner,
    timeouts: LinkTimeouts,
  ) {
    this.owner = owner;
    this.#duplex = duplex;
    this.#timeouts = timeouts;
    this.#reader = duplex.readable.getReader();
    try {
      this.#writer = duplex.writable.getWriter();
    } catch (error) {
      this.#reader.releaseLock();
      throw error;
    }
    this.#reader.closed.catch(() => {}); // the reads tell
    this.#writer.closed.catch((error) => this.#lose(error));
    const raw = rawIoOf(duplex);
    this.#sink = raw.sink ?? this.#writer;
    this.#source = raw.source === undefined
      ? new StreamSource(this.#reader, this.#decoder)
      : new BufferSource(raw.source, this.#decoder);
    this.#watch();
    this.#run();
  }

  /** Whether more is sure to come: a frame has begun. */
  get isPartial(): boolean {
    return this.#decoder.buffered > 0;
  }

  /** Whether nobody holds on to a chunk that was written. */
  get releases(): boolean {
    return this.#sink !== this.#writer;
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** Lets data in, once the greetings are exchanged. */
  allowData(maxFrameLength: number, checksums: boolean): void {
    this.#checksums = checksums;
    this.#header.maxData = maxFrameLength + (checksums ? CHECKSUM_BYTES : 0);
    this.#header.joinsData = !checksums; // each has its own to be verified
  }

  /** There may be something to write. What comes in one turn goes together. */
  wake(): void {
    if (this.#scheduled || this.#writing !== undefined || this.#over) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      if (this.#writing !== undefined || this.#over) return;
      try {
        const chunk = this.#writeNow();
        if (chunk !== undefined) this.#writing = this.#pump(chunk);
      } catch (error) {
        this.#lose(error);
      }
    });
  }

  /** Writes what goes without waiting. Returns what does not. */
  #writeNow(): Uint8Array | undefined {
    const sink = this.#sink;
    for (;;) {
      const chunk = this.owner.fill();
      if (chunk === undefined || sink.tryWrite === undefined) return chunk;
      const count = sink.tryWrite(chunk);
      if (count < chunk.length) return chunk.subarray(count);
    }
  }

  async #pump(first: Uint8Array): Promise<void> {
    try {
      let chunk: Uint8Array | undefined = first;
      while (chunk !== undefined && !this.#over) {
        await this.#sink.write(chunk);
        chunk = this.owner.fill();
      }
    } catch (error) {
      this.#lose(error);
    }
    this.#writing = undefined;
  }

  async #run(): Promise<void> {
    try {
      while (!this.#over) {
        const more = await new Promise<boolean>((onRead, onError) =>
          this.#source.read({ onRead, onError })
        );
        if (this.#over) return;
        if (!more) {
          this.#decoder.end();
          throw endedByPeer(peerOf(this.#duplex), "lost");
        }
        this.#heard = true;
        this.reads++;
        this.#source.decode(this.#onFrame);
        const taking = this.owner.whenTaken();
        if (taking !== undefined) await taking;
      }
    } catch (error) {
      this.#lose(error);
    }
  }

  #onFrame = (bytes: Uint8Array, start: number, end: number): void => {
    if (this.#over) return;
    this.#wasWhole = true;
    const header = this.#header;
    if (header.kind === Kind.Data) {
      if (this.#checksums) {
        end = verify(header, bytes, start, end);
        header.firstLength = header.lastLength = end - start;
      }
      this.owner.onData(bytes, start, end, header);
    } else {
      end = verify(header, bytes, start, end);
      this.owner.onControl(header.kind, bytes.subarray(start, end));
    }
  };

  /** One timer watches over silence and frames that stay partial. */
  #watch(): void {
    const { idle, partialFrame } = this.#timeouts;
    const period = Math.ceil(Math.min(idle, partialFrame) / 2);
    if (period > MAX_TIMER) return;
    this.#ticks = setInterval(() => {
      this.#silent = this.#heard ? 0 : this.#silent + period;
      this.#partial = this.#wasWhole || this.#decoder.buffered === 0
        ? 0
        : this.#partial + period;
      this.#heard = this.#wasWhole = false;
      if (this.#partial >= partialFrame) this.#lose(this.#tooSlow());
      else if (this.#silent >= idle) {
        this.#lose(timeoutError("No byte from the peer", idle));
      } else if (2 * this.#silent >= idle) this.owner.onSilence();
    }, period);
  }

  #tooSlow(): FrameError {
    return new FrameError(
      `Cannot decode frame: it was not whole within partialFrame ` +
        `${this.#timeouts.partialFrame} ms`,
      { code: "timeout" },
    );
  }

  #lose(error: unknown): void {
    if (this.#over) return;
    this.abort(error);
    if (!this.#closing) this.owner.onLost(error);
  }

  /** Ends it now. Its owner hears nothing more. */
  abort(reason?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#ticks);
    const error = reason ?? new ConnectionClosedError(
      "Cannot use the connection: it was closed on this side",
      { code: "closed" },
    );
    this.#reader.cancel(error).catch(() => {});
    this.#writer.abort(error).catch(() => {});
    this.#duplex.abort?.(error);
  }

  /** Writes what there still is, then ends it in order. */
  async close(): Promise<void> {
    if (this.#over || this.#closing) return;
    this.#closing = true;
    const timer = setTimeout(
      () => this.abort(),
      Math.min(this.#timeouts.close, MAX_TIMER),
    );
    try {
      if (this.#scheduled) await Promise.resolve();
      await this.#writing;
      if (this.#over) return;
      const { close, closed, abort } = this.#duplex;
      if (close && closed && abort) await close.call(this.#duplex);
      else await this.#writer.close();
    } catch { // it was on its way out
    } finally {
      clearTimeout(timer);
      this.abort();
    }
  }
}
