import { describe } from "../_async/check.ts";
import { checkFormat } from "./_check_format.ts";
import { FrameBatch } from "./_batch.ts";
import { Gate } from "./_gate.ts";
import type { FrameFormat, FrameLimits } from "./format.ts";

/**
 * The payload bytes that `writable` queues before it asks to wait. More would
 * make the garbage collector copy what is queued: a third of the speed at 64 KiB.
 */
const HIGH_WATER_MARK = 4 * 1024;

/**
 * Turns payloads into framed bytes: a `TransformStream` for `pipeThrough`.
 *
 * Payloads that were written in the same turn leave as one chunk of at most
 * 64 KiB. One of 16 KiB or more is not copied: it follows its header as it is,
 * so don't change it after writing.
 *
 * Backpressure is honest: beyond one chunk, what is written waits until the
 * bytes are read.
 *
 * @example Two payloads, one chunk
 * ```ts
 * import { FrameEncoderStream, varint } from "@sluice/ipc/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const encoder = new FrameEncoderStream(varint());
 * const writer = encoder.writable.getWriter();
 * writer.write(new Uint8Array([7, 8]));
 * writer.write(new Uint8Array([9]));
 * writer.close();
 * assertEquals(await Array.fromAsync(encoder.readable), [
 *   new Uint8Array([2, 7, 8, 1, 9]),
 * ]);
 * ```
 */
export class FrameEncoderStream
  implements TransformStream<Uint8Array, Uint8Array> {
  /** The framed bytes. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Takes the payloads. */
  readonly writable: WritableStream<Uint8Array>;

  /**
   * Creates the stream.
   *
   * @param format How the payloads are framed.
   * @param limits The bounds of a payload. One outside them fails the stream
   * with a {@linkcode FrameError}.
   * @throws {RangeError} If a limit is no integer of 0 or more.
   */
  constructor(format: FrameFormat, limits?: FrameLimits) {
    checkFormat(format);
    const ends = createEnds(format, limits);
    this.readable = ends.readable;
    this.writable = ends.writable;
  }
}

function createEnds(
  format: FrameFormat,
  limits: FrameLimits | undefined,
): TransformStream<Uint8Array, Uint8Array> {
  const gate = new Gate();
  let source!: ReadableStreamDefaultController<Uint8Array>;
  let sink!: WritableStreamDefaultController;
  /** Payloads that were written and did not reach the batch yet. */
  let pending = 0;
  /** Whether the reader waits for bytes. */
  let starved = false;
  const batch = new FrameBatch(format, limits, (chunk) => {
    starved = false;
    source.enqueue(chunk);
  });

  const readable = new ReadableStream<Uint8Array>({
    start: (controller) => {
      source = controller;
    },
    pull: () => {
      starved = true;
      if (pending === 0) batch.flush();
      gate.open();
    },
    cancel: (reason) => {
      sink.error(reason);
      gate.open();
    },
  }, { highWaterMark: 0 });

  const writable = new WritableStream<Uint8Array>({
    start: (controller) => {
      sink = controller;
    },
    write: (payload) => {
      pending--;
      try {
        batch.check(payload);
        batch.add(payload, true);
      } catch (error) {
        // Payloads from before still are read, then comes the error.
        batch.flush();
        return fail(error);
      }
      if (starved && pending === 0) batch.flush();
      if (source.desiredSize! < 0) return gate.wait();
    },
    close: () => {
      batch.flush();
      source.close();
    },
    abort: (reason) => {
      source.error(reason);
      gate.open();
    },
  }, {
    highWaterMark: HIGH_WATER_MARK,
    // Called when a payload is written, before `write` sees it.
    size: (payload) => {
      if (!(payload instanceof Uint8Array)) {
        throw new TypeError(
          `Cannot encode frame: expected a Uint8Array, received ${
            describe(payload)
          }`,
        );
      }
      pending++;
      return payload.length + 1;
    },
  });

  async function fail(error: unknown): Promise<never> {
    if (source.desiredSize! < 0) await gate.wait();
    source.error(error);
    throw error;
  }
  return { readable, writable };
}
