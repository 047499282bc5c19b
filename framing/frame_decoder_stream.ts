import { checkFormat } from "./_check_format.ts";
import { Gate } from "./_gate.ts";
import type { FrameDecoder, FrameFormat, FrameLimits } from "./format.ts";

/**
 * Turns bytes into frames: a `TransformStream` for `pipeThrough`.
 *
 * Each frame that lies within one chunk is a view into it, so nothing is copied.
 * Backpressure is honest: no chunk is taken while frames of the one before wait
 * to be read. The stream fails with a {@linkcode FrameError} at the first byte
 * that can't be a frame, and when the input ends inside of one.
 *
 * @example Frames of a stream of bytes
 * ```ts
 * import { FrameDecoderStream, lengthPrefixed } from "@sluice/ipc/framing";
 * import { assertEquals } from "@std/assert";
 *
 * // Two frames that came in three pieces.
 * const pieces = [[0, 0, 0], [2, 1, 2, 0, 0, 0, 1], [3]];
 * const frames = ReadableStream.from(pieces.map((bytes) => new Uint8Array(bytes)))
 *   .pipeThrough(new FrameDecoderStream(lengthPrefixed(), { maxFrameLength: 1024 }));
 * assertEquals(await Array.fromAsync(frames), [
 *   new Uint8Array([1, 2]),
 *   new Uint8Array([3]),
 * ]);
 * ```
 */
export class FrameDecoderStream
  implements TransformStream<Uint8Array, Uint8Array> {
  /** The frames' payloads. */
  readonly readable: ReadableStream<Uint8Array>;
  /** Takes the bytes as they came. */
  readonly writable: WritableStream<Uint8Array>;

  /**
   * Creates the stream.
   *
   * @param format How the payloads are framed.
   * @param limits The bounds of a payload.
   * @throws {RangeError} If a limit is no integer of 0 or more.
   */
  constructor(format: FrameFormat, limits?: FrameLimits) {
    checkFormat(format);
    const decoder = format.createDecoder(limits);
    const ends = createEnds(decoder);
    this.readable = ends.readable;
    this.writable = ends.writable;
  }
}

// A real TransformStream settles several promises for each chunk and frame.
function createEnds(
  decoder: FrameDecoder,
): TransformStream<Uint8Array, Uint8Array> {
  const gate = new Gate();
  let source!: ReadableStreamDefaultController<Uint8Array>;
  let sink!: WritableStreamDefaultController;
  const emit = (frame: Uint8Array) => source.enqueue(frame);
  /** Frames from before the fault still are read, then comes the error. */
  const fail = (error: unknown): Promise<void> =>
    waitWhileFull().then(() => {
      source.error(error);
      throw error;
    });
  const waitWhileFull = (): Promise<void> =>
    source.desiredSize! < 0 ? gate.wait() : Promise.resolve();

  const readable = new ReadableStream<Uint8Array>({
    start: (controller) => {
      source = controller;
    },
    pull: () => gate.open(),
    cancel: (reason) => {
      sink.error(reason);
      gate.open();
    },
  }, { highWaterMark: 0 });

  const writable = new WritableStream<Uint8Array>({
    start: (controller) => {
      sink = controller;
    },
    write: (chunk) => {
      try {
        decoder.push(chunk, emit);
      } catch (error) {
        return fail(error);
      }
      if (source.desiredSize! < 0) return gate.wait();
    },
    close: () => {
      try {
        decoder.end(emit);
      } catch (error) {
        return fail(error);
      }
      source.close();
    },
    abort: (reason) => {
      source.error(reason);
      gate.open();
    },
  }, { highWaterMark: 1 });
  return { readable, writable };
}
