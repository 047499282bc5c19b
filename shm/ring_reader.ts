import type { WaitOptions } from "../duplex.ts";
import { ConnectionClosedError } from "../duplex.ts";
import type { RingParts } from "./_ring_layout.ts";
import { CONSUMER, PRODUCER } from "./_ring_layout.ts";
import { RingReaderCore } from "./_ring_reader_core.ts";
import { Side } from "./_side.ts";
import { poll } from "./_poll.ts";

/**
 * The consumer's end of a {@linkcode Ring}. `try…` methods never wait and are
 * the fast ones; the others wait for a record.
 *
 * @example Reading in place
 * ```ts
 * import { Ring, SharedMemory } from "@sluice/ipc/shm";
 * import { assertEquals } from "@std/assert";
 *
 * using memory = SharedMemory.anonymous({ size: Ring.byteLength(4096) });
 * const ring = Ring.create(memory, { capacity: 4096 });
 * using writer = ring.writer();
 * using reader = ring.reader();
 *
 * writer.tryWrite(new Uint8Array([1, 2, 3]));
 * const record = reader.tryPeek();
 * assertEquals(record, new Uint8Array([1, 2, 3]));
 * reader.release(); // from here on the producer may write over it
 * ```
 */
export class RingReader implements Disposable, AsyncIterable<Uint8Array> {
  /** The longest record in bytes. */
  readonly longestRecord: number;
  #core: RingReaderCore;
  #side: Side;
  #peer: Side;
  #closed = false;
  #readable: ReadableStream<Uint8Array> | undefined;

  /** @ignore Made by {@linkcode Ring.reader}. */
  constructor(parts: RingParts) {
    this.#side = new Side(parts.header, CONSUMER, "consumer");
    this.#peer = new Side(parts.header, PRODUCER, "producer");
    this.#side.claim("Cannot read from ring");
    this.#core = new RingReaderCore(parts);
    this.longestRecord = this.#core.longest;
  }

  /**
   * Copies the next record to the start of `into`. Reuse one buffer: a new one
   * for each call costs more than the read.
   *
   * @returns The record's length in bytes, or -1 where there is none yet.
   * @throws {RangeError} If `into` is too small; the record stays.
   * @throws {Deno.errors.BadResource} If the segment or this is closed.
   * @throws {Deno.errors.InvalidData} If the peer broke the ring.
   */
  tryRead(into: Uint8Array): number {
    return this.#core.read(into);
  }

  /**
   * Copies records one after another into `into`.
   *
   * @param into Takes the payloads, each at the next multiple of 8.
   * @param lengths Takes the length of each.
   * @returns How many records were read.
   * @throws {RangeError} If even the first doesn't fit.
   */
  tryReadMany(into: Uint8Array, lengths: Int32Array | number[]): number {
    return this.#core.readMany(into, lengths, lengths.length);
  }

  /**
   * Fills `into` with bytes, as if the records were one stream. Records may be
   * read in part: then don't mix it with the other reads.
   *
   * @returns How many bytes were read; 0 where there are none yet.
   */
  tryReadBytes(into: Uint8Array): number {
    return this.#core.readBytes(into);
  }

  /**
   * Shows the next record in place: no copy. Call {@linkcode RingReader.release}
   * when done; reading on does the same. A hostile producer can change the bytes while you look.
   *
   * @returns A view into the ring, or `undefined` where there is none yet.
   */
  tryPeek(): Uint8Array<ArrayBuffer> | undefined {
    return this.#core.peek();
  }

  /**
   * Gives the place of the record that was peeked back to the producer.
   *
   * @throws {TypeError} If nothing was peeked.
   */
  release(): void {
    this.#core.release();
  }

  /**
   * Waits for a record: it spins for microseconds, then looks again every few
   * milliseconds.
   *
   * @returns The record, a copy; or `null` once the producer closed and all was
   *   read.
   * @throws {ConnectionClosedError} With code `"lost"` if the producer died.
   */
  read(options: WaitOptions = {}): Promise<Uint8Array<ArrayBuffer> | null> {
    return poll(() => this.#attempt(), "Cannot read from ring", {
      ...options,
      check: () => this.#checkPeer(),
    });
  }

  #attempt(): Uint8Array<ArrayBuffer> | null | undefined {
    let record = this.#core.peek();
    // It may have committed between the first look and its end: look again.
    if (record === undefined && this.#peer.ended) {
      record = this.#core.peek();
      if (record === undefined) return null;
    }
    if (record === undefined) return undefined;
    const copy = record.slice();
    this.#core.release();
    return copy;
  }

  #checkPeer(): void {
    if (!this.#peer.dead || this.#core.next() >= 0) return;
    throw new ConnectionClosedError(
      "Cannot read from ring: the producer died",
      { code: "lost" },
    );
  }

  /** The records as chunks, until the producer closes. */
  get readable(): ReadableStream<Uint8Array> {
    const stop = new AbortController();
    return this.#readable ??= new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const record = await this.read({ signal: stop.signal });
        if (record === null) controller.close();
        else controller.enqueue(record);
      },
      cancel: (reason) => {
        stop.abort(reason);
        this.close();
      },
    }, { highWaterMark: 0 });
  }

  /** Reads until the producer closes. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    for (let count = 1;; count++) {
      // The short way saves a promise; the long one also lets timers run.
      let record = (count & 255) === 0 ? undefined : this.#attempt();
      if (record === undefined) record = await this.read();
      if (record === null) return;
      yield record;
    }
  }

  /** Tells the producer that nobody reads. Calling it again does nothing. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#core.close();
    this.#side.release();
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.close();
  }
}
