import type { WaitOptions } from "../duplex.ts";
import { checkInteger } from "../_async/check.ts";
import { yieldTurn } from "../_async/turn.ts";
import { within } from "../_async/wait.ts";
import { now } from "./_clock.ts";
import type { TapRecord } from "./tap_record.ts";

/** Where a {@linkcode TapSink} puts the records. */
export interface TapWriter {
  /**
   * Takes records in their order. The next ones come when it has settled.
   *
   * @param records At least one.
   */
  write(records: readonly TapRecord[]): void | Promise<void>;
  /** Called once, after the last `write`. */
  close?(): void | Promise<void>;
}

/** Options that every sink takes. */
export interface TapSinkOptions {
  /**
   * Whether it takes records. {@linkcode TapSink.enabled} changes it later.
   *
   * @default {true}
   */
  enabled?: boolean;
  /**
   * How many records may wait for a slow sink. Further ones are dropped and
   * counted.
   *
   * @default {4096}
   */
  maxQueuedRecords?: number;
  /**
   * How many bytes of captured payloads may wait. Further records are dropped
   * and counted.
   *
   * @default {4194304}
   */
  maxQueuedBytes?: number;
  /**
   * Told of the first error of the sink, such as a full disk. What it throws is
   * dropped.
   *
   * @default {console.error}
   */
  onError?: (error: unknown) => void;
}

/** What became of the records. */
export interface TapSinkStats {
  /** Records that were written. */
  readonly written: number;
  /** Records that were lost: the queue was full, or the sink closed. */
  readonly dropped: number;
  /** Records that were lost because writing, decoding or `redact` threw. */
  readonly failed: number;
  /** Records that wait now. */
  readonly queued: number;
}

/** A record that is made when its turn comes, off the connection's path. */
interface Captured {
  make: () => TapRecord | undefined;
  size: number;
}

/** How many records are written at once, before other work gets its turn. */
const BATCH = 256;
const CLOSE_TIMEOUT = 5_000;

/**
 * A bounded queue before a {@linkcode TapWriter}. However slow or broken the
 * writer is, no connection waits for it: records are dropped and counted. One
 * sink serves any number of taps.
 *
 * {@linkcode textSink}, {@linkcode jsonLinesSink} and {@linkcode pcapngSink} make
 * sinks; this class makes one of anything else.
 *
 * @example A sink of one's own
 * ```ts
 * import { type TapRecord, TapSink } from "@sluice/ipc/observe";
 * import { tap } from "@sluice/ipc/observe";
 * import { assertEquals } from "@std/assert";
 *
 * const records: TapRecord[] = [];
 * const sink = new TapSink({ write: (batch) => void records.push(...batch) });
 * const pipe = tap(new TransformStream<Uint8Array, Uint8Array>(), sink);
 * const writer = pipe.writable.getWriter();
 * writer.write(new Uint8Array([1, 2, 3]));
 * await pipe.readable.getReader().read();
 * await sink.close();
 * assertEquals(records.map((record) => record.kind), ["open", "bytes", "bytes"]);
 * ```
 */
export class TapSink implements AsyncDisposable {
  /**
   * Whether it takes records. A tap whose sink is off only passes bytes through
   * and follows the frames, so that it can be turned on in the middle.
   */
  enabled: boolean;
  #writer: TapWriter;
  #maxRecords: number;
  #maxBytes: number;
  #onError: (error: unknown) => void;
  #queue: Captured[] = [];
  #queuedBytes = 0;
  #written = 0;
  #dropped = 0;
  /** Drops that no record has told of yet. */
  #untold = 0;
  #failed = 0;
  #reported = false;
  #draining: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  /**
   * Creates the sink.
   *
   * @param writer Where the records go.
   * @param options Bounds of the queue, and the error hook.
   * @throws {RangeError} If a bound is no integer above 0.
   */
  constructor(writer: TapWriter, options: TapSinkOptions = {}) {
    const {
      enabled = true,
      maxQueuedRecords = 4096,
      maxQueuedBytes = 4 * 1024 * 1024,
      onError = reportError,
    } = options;
    this.#maxRecords = checkInteger("maxQueuedRecords", maxQueuedRecords, 1);
    this.#maxBytes = checkInteger("maxQueuedBytes", maxQueuedBytes, 1);
    this.#writer = writer;
    this.#onError = onError;
    this.enabled = enabled;
  }

  /** Counters of records. */
  get stats(): TapSinkStats {
    return {
      written: this.#written,
      dropped: this.#dropped,
      failed: this.#failed,
      queued: this.#queue.length,
    };
  }

  /**
   * Queues a record. Never throws and never waits. Called by taps.
   *
   * @param make Makes the record when its turn comes; `undefined` leaves it out.
   * @param size The bytes that `make` holds.
   */
  push(make: () => TapRecord | undefined, size: number = 0): void {
    if (!this.enabled) return;
    if (
      this.#closing !== undefined || this.#queue.length >= this.#maxRecords ||
      this.#queuedBytes + size > this.#maxBytes
    ) {
      this.#dropped++;
      this.#untold++;
      return;
    }
    this.#queuedBytes += size;
    this.#queue.push({ make, size });
    this.#draining ??= this.#drain();
  }

  /**
   * Waits until what is queued now was written.
   *
   * @param options `signal` and `timeout` end the wait.
   * @throws {DOMException} `TimeoutError`, if it takes longer.
   */
  async flush(options: WaitOptions = {}): Promise<void> {
    if (this.#draining === undefined) return;
    await within(this.#draining, "Cannot flush tap sink", options);
  }

  /**
   * Writes what is queued and closes what the records go to. Waits 5 s at most,
   * and never rejects: `onError` is told. Calling it again gives the same promise.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    try {
      const closing = (async () => {
        await this.#draining;
        await this.#writer.close?.();
      })();
      await within(closing, "Cannot close tap sink", {
        timeout: CLOSE_TIMEOUT,
      });
    } catch (error) {
      this.#report(error);
    }
  }

  /** Closes it: see {@linkcode TapSink.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #drain(): Promise<void> {
    await Promise.resolve(); // what passes in the same turn collects
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, BATCH);
      const records = this.#make(batch);
      try {
        const writing = records.length > 0 && this.#writer.write(records);
        if (writing instanceof Promise) await writing;
        this.#written += records.length;
      } catch (error) {
        this.#failed += records.length;
        this.#report(error);
      }
      for (const { size } of batch) this.#queuedBytes -= size;
      if (this.#queue.length > 0) {
        // A busy connection gets its turn between batches. A timer would take
        // longer, and fail the test of a user whose tap still drains.
        await yieldTurn();
      }
    }
    this.#draining = undefined;
  }

  #make(batch: readonly Captured[]): TapRecord[] {
    const records: TapRecord[] = [];
    for (const { make } of batch) {
      try {
        const record = make();
        if (record !== undefined) records.push(record);
      } catch (error) { // redact threw: better no record than a secret
        this.#failed++;
        this.#report(error);
      }
    }
    if (this.#untold > 0) {
      records.push({ kind: "dropped", time: now(), count: this.#untold });
      this.#untold = 0;
    }
    return records;
  }

  #report(error: unknown): void {
    if (this.#reported) return;
    this.#reported = true;
    try {
      this.#onError(error);
    } catch { // the hook is no part of the connection either
    }
  }
}

function reportError(error: unknown): void {
  console.error(
    "Cannot write what was tapped; connections go on, further errors are " +
      "only counted:",
    error,
  );
}
