import type { WaitOptions } from "../duplex.ts";
import { ConnectionClosedError } from "../duplex.ts";
import type { RingParts } from "./_ring_layout.ts";
import { CONSUMER, PRODUCER } from "./_ring_layout.ts";
import { RingWriterCore } from "./_ring_writer_core.ts";
import { Side } from "./_side.ts";
import { poll } from "./_poll.ts";

/**
 * The producer's end of a {@linkcode Ring}. `try…` methods never wait and are
 * the fast ones; the others wait for room. Closing it tells the consumer that no
 * more follows.
 *
 * @example A batch becomes visible at once
 * ```ts
 * import { Ring, SharedMemory } from "@sluice/ipc/shm";
 * import { assertEquals } from "@std/assert";
 *
 * using memory = SharedMemory.anonymous({ size: Ring.byteLength(4096) });
 * const ring = Ring.create(memory, { capacity: 4096 });
 * using writer = ring.writer();
 * using reader = ring.reader();
 * const into = new Uint8Array(64);
 *
 * writer.tryAppend(new Uint8Array([1]));
 * writer.tryAppend(new Uint8Array([2]));
 * assertEquals(reader.tryRead(into), -1);
 * writer.publish();
 * assertEquals(reader.tryRead(into), 1);
 * ```
 */
export class RingWriter implements Disposable {
  /** The longest record in bytes. */
  readonly longestRecord: number;
  #core: RingWriterCore;
  #side: Side;
  #peer: Side;
  #closed = false;
  #writable: WritableStream<Uint8Array> | undefined;

  /** @ignore Made by {@linkcode Ring.writer}. */
  constructor(parts: RingParts) {
    this.#side = new Side(parts.header, PRODUCER, "producer");
    this.#peer = new Side(parts.header, CONSUMER, "consumer");
    this.#side.claim("Cannot write to ring");
    try {
      this.#core = new RingWriterCore(parts);
    } catch (error) {
      this.#side.release();
      throw error;
    }
    this.longestRecord = this.#core.longest;
  }

  /**
   * Writes one record, copying it, if there is room.
   *
   * @returns Whether it was written.
   * @throws {RangeError} If it is longer than a record may be.
   * @throws {Deno.errors.BadResource} If the segment or this is closed.
   * @throws {Deno.errors.InvalidData} If the peer broke the ring.
   */
  tryWrite(payload: Uint8Array): boolean {
    return this.#core.write(payload);
  }

  /**
   * Like {@linkcode RingWriter.tryWrite}, but the consumer sees the record only
   * after {@linkcode RingWriter.publish}: cheaper for a batch.
   */
  tryAppend(payload: Uint8Array): boolean {
    return this.#core.append(payload);
  }

  /** Makes what was appended and committed visible, in order and at once. */
  publish(): void {
    this.#core.publish();
  }

  /**
   * Writes as many of `payloads` as there is room for, visible at once.
   *
   * @returns How many were written, from the first on.
   */
  tryWriteMany(payloads: readonly Uint8Array[]): number {
    let count = 0;
    while (count < payloads.length && this.#core.append(payloads[count])) {
      count++;
    }
    this.#core.publish();
    return count;
  }

  /**
   * Writes as many of `bytes` as there is room for, cut into records as it fits:
   * for a stream of bytes, which {@linkcode RingReader.tryReadBytes} reads.
   *
   * @returns How many bytes were written, from the first on.
   */
  tryWriteBytes(bytes: Uint8Array): number {
    return this.#core.writeBytes(bytes, 0, this.longestRecord);
  }

  /**
   * Gives a view into the ring to write a record in place: no copy. Fill it and
   * call {@linkcode RingWriter.commit}; writing or reserving again drops it.
   *
   * @param length The most bytes that the record will have.
   * @returns The view, or `undefined` where there is no room.
   */
  tryReserve(length: number): Uint8Array<ArrayBuffer> | undefined {
    return this.#core.reserve(length);
  }

  /**
   * Makes the reserved bytes a record and visible.
   *
   * @param length How many of them, all by default.
   * @throws {TypeError} If nothing is reserved.
   */
  commit(length?: number): void {
    this.#core.commit(length);
    this.#core.publish();
  }

  /**
   * Writes one record, waiting for room: it spins for microseconds, then looks
   * again every few milliseconds.
   *
   * @throws {ConnectionClosedError} If the consumer ended, or died.
   */
  async write(payload: Uint8Array, options: WaitOptions = {}): Promise<void> {
    await poll(
      () => this.tryWrite(payload) || undefined,
      "Cannot write to ring",
      { ...options, check: () => this.#checkPeer() },
    );
  }

  /** Takes records as chunks. Closing it closes this writer. */
  get writable(): WritableStream<Uint8Array> {
    return this.#writable ??= new WritableStream({
      write: (chunk, controller) =>
        this.write(chunk, { signal: controller.signal }),
      close: () => this.close(),
      abort: () => this.close(),
    });
  }

  /** Bytes that records and their 8-byte headers can still take. */
  get free(): number {
    return this.#core.free;
  }

  #checkPeer(): void {
    const ended = this.#peer.ended;
    if (!ended && !this.#peer.dead) return;
    throw new ConnectionClosedError(
      `Cannot write to ring: the consumer ${ended ? "closed it" : "died"}`,
      { code: ended ? "ended" : "lost" },
    );
  }

  /** Tells the consumer that no more follows. Calling it again does nothing. */
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
