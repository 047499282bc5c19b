import { checkInteger } from "../_async/check.ts";
import type { FrameDecoder, FrameFormat, FrameLimits } from "./format.ts";
import { BaseDecoder } from "./_base_decoder.ts";
import { FrameError } from "./frame_error.ts";
import { checkLength } from "./_limits.ts";
import { MessagePackScanner } from "./_message_pack_scanner.ts";
import { PartialFrame } from "./_partial_frame.ts";

/** Options for {@linkcode messagePack}. */
export interface MessagePackOptions {
  /**
   * The most arrays and maps within each other.
   *
   * @default {100}
   */
  maxDepth?: number;
}

const EMPTY = new Uint8Array(0);

/**
 * Bare MessagePack values, one after the other, with nothing between them: the
 * wire of MessagePack-RPC (Neovim). Each value is a frame.
 *
 * ```text
 * +----------------------+
 * | one MessagePack value |
 * +----------------------+
 * ```
 *
 * The decoder walks the values' headers and never allocates by what they
 * promise. An array or map that can't fit `maxFrameLength` is refused from its
 * header.
 *
 * @see {@link https://github.com/msgpack/msgpack/blob/master/spec.md | MessagePack specification}
 *
 * @example Two values in one chunk
 * ```ts
 * import { messagePack, msgpack } from "@sluice/ipc/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const values: unknown[] = [];
 * messagePack().createDecoder().push(
 *   new Uint8Array([0x93, 1, 2, 3, 0xc3]),
 *   (frame) => values.push(msgpack.decode(frame)),
 * );
 * assertEquals(values, [[1, 2, 3], true]);
 * ```
 *
 * @param options The bound of the nesting.
 * @returns The format.
 * @throws {RangeError} If `maxDepth` is no integer from 1 to 1024.
 */
export function messagePack(options: MessagePackOptions = {}): FrameFormat {
  const { maxDepth = 100 } = options;
  checkInteger("maxDepth", maxDepth, 1, 1024);
  const own = new MessagePackScanner({
    maxLength: Infinity,
    bound: "length",
    maxDepth,
  });
  return {
    name: "messagePack",
    trailer: EMPTY,
    createDecoder: (limits?: FrameLimits): FrameDecoder =>
      new MessagePackDecoder(maxDepth, limits),
    headerLength: (_payloadLength: number): number => 0,
    writeHeader(): void {},
    checkPayload(payload: Uint8Array): void {
      let end: number;
      try {
        own.reset();
        end = own.scan(payload, 0, payload.length);
      } catch (cause) {
        throw notOneValue(cause);
      }
      if (end !== payload.length) throw notOneValue();
    },
  };
}

function notOneValue(cause?: unknown): FrameError {
  return new FrameError(
    "Cannot encode frame: the payload is not exactly one MessagePack value",
    { code: "malformed", cause },
  );
}

class MessagePackDecoder extends BaseDecoder {
  #scanner: MessagePackScanner;
  #partial = new PartialFrame();

  constructor(maxDepth: number, limits?: FrameLimits) {
    super(limits);
    this.#scanner = new MessagePackScanner({
      maxLength: this.limits.maxFrameLength,
      bound: "maxFrameLength",
      maxDepth,
    });
  }

  get buffered(): number {
    return this.#partial.length;
  }

  protected override decode(
    chunk: Uint8Array,
    emit: (frame: Uint8Array) => void,
  ): void {
    let at = 0;
    while (at < chunk.length) {
      const end = this.#scanner.scan(chunk, at, chunk.length);
      if (end < 0) {
        this.#partial.append(chunk.subarray(at), this.limits.maxFrameLength);
        return;
      }
      let frame = chunk.subarray(at, end);
      if (this.#partial.length > 0) {
        this.#partial.append(frame, this.limits.maxFrameLength);
        frame = this.#partial.take();
      }
      checkLength("decode", frame.length, this.limits);
      emit(frame);
      at = end;
    }
  }

  protected override drop(): void {
    this.#partial.take();
    this.#scanner.reset();
  }

  protected override progress(): string {
    return `inside a MessagePack value, after ${this.buffered} bytes`;
  }
}
