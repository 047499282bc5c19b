import type { FrameDecoder, FrameFormat } from "../framing/format.ts";
import { now } from "./_clock.ts";
import type { Direction, Observer } from "./_intercept.ts";
import type { TapOptions } from "./tap_options.ts";
import type {
  TapDataRecord,
  TappedConnection,
  TapRecord,
} from "./tap_record.ts";
import type { TapSink } from "./tap_sink.ts";

type Settings =
  & TapOptions
  & Required<Pick<TapOptions, "captureLength" | "partialFrameNotice">>;

/** How much of a partial frame is kept, in bytes. */
const PARTIAL_LENGTH = 64;
const NOTHING = new Uint8Array(0);

let lastId = 0;

/** Turns what passes into records. */
export class TapObserver implements Observer {
  #sink: TapSink;
  #connection: TappedConnection;
  #sent: Flow;
  #received: Flow;

  constructor(
    sink: TapSink,
    settings: Settings,
    connection: Omit<TappedConnection, "id">,
  ) {
    this.#sink = sink;
    this.#connection = { id: ++lastId, ...connection };
    this.#sent = new Flow(sink, settings, this.#connection, "sent");
    this.#received = new Flow(sink, settings, this.#connection, "received");
  }

  opened(): void {
    const record: TapRecord = {
      kind: "open",
      connection: this.#connection,
      time: now(),
    };
    this.#sink.push(() => record);
  }

  passed(chunk: Uint8Array, direction: Direction): void {
    this.#flow(direction).passed(chunk);
  }

  ended(direction: Direction, isCut: boolean): void {
    this.#flow(direction).ended(isCut);
  }

  failed(error: unknown, direction: Direction): void {
    this.#flow(direction).failed(error);
  }

  closed(): void {}

  #flow(direction: Direction): Flow {
    return direction === "sent" ? this.#sent : this.#received;
  }
}

/** One direction. */
class Flow {
  #sink: TapSink;
  #settings: Settings;
  #connection: TappedConnection;
  #direction: Direction;
  /** Absent in raw mode, and after bytes that were no frame. */
  #decoder: FrameDecoder | undefined;
  /** Where the next record starts. */
  #offset = 0;
  /** All bytes that passed. */
  #total = 0;
  /** How a partial frame begins. */
  #partial = NOTHING;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    sink: TapSink,
    settings: Settings,
    connection: TappedConnection,
    direction: Direction,
  ) {
    this.#sink = sink;
    this.#settings = settings;
    this.#connection = connection;
    this.#direction = direction;
    const { format, maxFrameLength } = settings;
    this.#decoder = format?.createDecoder({ maxFrameLength });
  }

  passed(chunk: Uint8Array): void {
    this.#total += chunk.byteLength;
    if (this.#decoder === undefined) return this.#bytes(chunk);
    // The chunk goes on to others, who may transfer or overwrite it.
    const copy = chunk.slice();
    try {
      this.#decoder.push(copy, this.#frame);
    } catch (error) {
      this.#malformed(error);
      // What was no frame; of a frame that began earlier, what came now.
      const rest = Math.min(chunk.byteLength, this.#total - this.#offset);
      this.#offset = this.#total - rest;
      if (rest > 0) this.#bytes(copy.subarray(chunk.byteLength - rest));
      return;
    }
    this.#keepPartial(copy);
    this.#watchPartial(this.#decoder);
  }

  /** Keeps how a partial frame begins, for the record of it. */
  #keepPartial(chunk: Uint8Array): void {
    const held = this.#total - this.#offset;
    const from = Math.max(0, chunk.byteLength - held);
    const before = held > chunk.byteLength ? this.#partial : NOTHING;
    if (before.byteLength === PARTIAL_LENGTH) return;
    const more = chunk.subarray(
      from,
      from + PARTIAL_LENGTH - before.byteLength,
    );
    this.#partial = new Uint8Array(before.byteLength + more.byteLength);
    this.#partial.set(before);
    this.#partial.set(more, before.byteLength);
  }

  #frame = (payload: Uint8Array): void => {
    const format = this.#settings.format!;
    const wireLength = lengthOnWire(format, payload.byteLength);
    this.#record("frame", payload, wireLength);
  };

  #bytes(chunk: Uint8Array): void {
    this.#record("bytes", chunk, chunk.byteLength);
  }

  #record(
    kind: "frame" | "bytes",
    payload: Uint8Array,
    wireLength: number,
  ): void {
    const offset = this.#offset;
    this.#offset += wireLength;
    if (!this.#sink.enabled) return;
    const { captureLength } = this.#settings;
    const length = payload.byteLength;
    const bytes = payload.slice(0, captureLength);
    const record: TapDataRecord = {
      kind,
      connection: this.#connection,
      time: now(),
      direction: this.#direction,
      offset,
      wireLength,
      length,
      bytes,
      ...(kind === "frame" ? { format: this.#settings.format } : {}),
    };
    this.#sink.push(() => this.#finish(record), bytes.byteLength);
  }

  /** Decodes and redacts, when the record's turn has come. */
  #finish(record: TapDataRecord): TapDataRecord | undefined {
    const { codec, redact } = this.#settings;
    if (
      codec !== undefined && record.kind === "frame" &&
      record.bytes.byteLength === record.length
    ) {
      try {
        record = { ...record, message: codec.decode(record.bytes) };
      } catch (error) {
        record = { ...record, error };
      }
    }
    if (redact === undefined) return record;
    const left = redact(record);
    if (left === undefined) return undefined;
    const { message: _message, error: _error, ...rest } = record;
    return {
      ...rest,
      bytes: left.bytes ?? new Uint8Array(0),
      ...("message" in left ? { message: left.message } : {}),
    };
  }

  #watchPartial(decoder: FrameDecoder): void {
    const { partialFrameNotice } = this.#settings;
    if (decoder.buffered === 0 && decoder.expected === undefined) {
      return this.#stopWatching();
    }
    if (this.#timer !== undefined || partialFrameNotice > 2 ** 31 - 1) return;
    let seen = decoder.buffered;
    this.#timer = setInterval(() => {
      if (decoder.buffered !== seen) return void (seen = decoder.buffered);
      this.#stopWatching();
      const record: TapRecord = {
        kind: "partial",
        connection: this.#connection,
        time: now(),
        direction: this.#direction,
        ...progressOf(decoder, this.#settings.format!),
        // `redact` can't tell what of a part is secret.
        bytes: this.#settings.redact === undefined ? this.#partial : NOTHING,
      };
      this.#sink.push(() => record);
    }, partialFrameNotice);
    unref(this.#timer);
  }

  #stopWatching(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #malformed(error: unknown): void {
    this.#stopWatching();
    this.#decoder = undefined;
    const record: TapRecord = {
      kind: "malformed",
      connection: this.#connection,
      time: now(),
      direction: this.#direction,
      error,
    };
    this.#sink.push(() => record);
  }

  ended(isCut: boolean): void {
    try {
      if (!isCut) this.#decoder?.end(this.#frame);
    } catch (error) {
      this.#malformed(error);
    }
    this.#finishFlow("end");
  }

  failed(error: unknown): void {
    this.#finishFlow("error", error);
  }

  #finishFlow(kind: "end" | "error", error?: unknown): void {
    this.#stopWatching();
    const base = {
      connection: this.#connection,
      time: now(),
      direction: this.#direction,
      offset: this.#total,
    };
    this.#sink.push(() =>
      kind === "end" ? { kind, ...base } : { kind, ...base, error }
    );
  }
}

function lengthOnWire(format: FrameFormat, length: number): number {
  return format.headerLength(length) + length + format.trailer.length;
}

/** How much of a partial frame's payload came: decoders also count its header. */
function progressOf(
  { buffered, expected }: FrameDecoder,
  format: FrameFormat,
): { buffered: number; expected: number | undefined } {
  if (expected === undefined) return { buffered, expected };
  const header = format.headerLength(expected);
  return { buffered: Math.max(0, buffered - header), expected };
}

/** Lets the process end although the timer runs. */
function unref(timer: ReturnType<typeof setTimeout>): void {
  if (typeof Deno !== "undefined") {
    Deno.unrefTimer(timer as unknown as number);
  }
}
