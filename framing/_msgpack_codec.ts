import { Decoder, Encoder } from "@msgpack/msgpack";
import type { Codec } from "./codec.ts";
import { FrameError } from "./frame_error.ts";
import { invalidMessage } from "./_invalid_message.ts";
import { MessagePackScanner } from "./_message_pack_scanner.ts";
import { Extensions } from "./_msgpack_extensions.ts";

/** An encoder's buffer never shrinks: above this, in bytes, a new one is made. */
const MAX_KEPT_BUFFER = 1024 * 1024;

/** A decoder holds on to its last input: above this, in bytes, it is made to let go. */
const MAX_KEPT_INPUT = 64 * 1024;
const NIL = new Uint8Array([0xc0]);

/** MessagePack by `@msgpack/msgpack`, with its buffers reused. */
export class MsgpackCodec implements Codec<unknown> {
  readonly name = "msgpack";
  #maxDepth: number;
  #extensions: Extensions;
  #encoder: Encoder;
  #decoder: Decoder;
  /** For payloads too short to nest too deep: its own bounds suffice. */
  #shortDecoder: Decoder;
  #scanner: MessagePackScanner;

  constructor(maxDepth: number) {
    this.#maxDepth = maxDepth;
    this.#extensions = new Extensions(
      maxDepth,
      (value) => this.#createEncoder().encode(value),
      (payload) => this.#decode(payload),
    );
    this.#encoder = this.#createEncoder();
    this.#decoder = new Decoder({ extensionCodec: this.#extensions });
    this.#shortDecoder = new Decoder({
      extensionCodec: this.#extensions,
      maxArrayLength: maxDepth,
      maxMapLength: maxDepth,
    });
    this.#scanner = new MessagePackScanner({
      maxLength: 0,
      bound: "its length",
      maxDepth,
    });
  }

  #createEncoder(): Encoder {
    return new Encoder({
      extensionCodec: this.#extensions,
      maxDepth: this.#maxDepth + 1, // it counts what arrays hold as deeper
      ignoreUndefined: true,
    });
  }

  /** What the library says, in words of who called. */
  #explain(cause: unknown): unknown {
    if (!(cause instanceof Error) || cause instanceof FrameError) return cause;
    const { message } = cause;
    const type = /^Unrecognized object: \[object (\w+)\]/.exec(message)?.[1];
    const why = type !== undefined
      ? `MessagePack has no form for a ${type.toLowerCase()}`
      : message.startsWith("Too deep")
      ? `it is nested deeper than maxDepth ${this.#maxDepth}, or in a cycle`
      : message.startsWith("Offset is outside")
      ? "it ends within a value"
      : undefined;
    return why === undefined ? cause : new Error(why, { cause });
  }

  encode(value: unknown): Uint8Array {
    return this.encodeShared(value).slice();
  }

  encodeShared(value: unknown): Uint8Array {
    try {
      this.#extensions.level = 0;
      const bytes = this.#encoder.encodeSharedRef(value);
      if (bytes.buffer.byteLength > MAX_KEPT_BUFFER) {
        this.#encoder = this.#createEncoder();
      }
      return bytes;
    } catch (cause) {
      throw invalidMessage("encode", this.#explain(cause));
    }
  }

  decode(payload: Uint8Array): unknown {
    try {
      this.#extensions.level = 0;
      return this.#decode(payload);
    } catch (cause) {
      throw invalidMessage("decode", this.#explain(cause));
    }
  }

  #decode(payload: Uint8Array): unknown {
    if (payload.length <= this.#maxDepth) {
      return this.#shortDecoder.decode(payload);
    }
    const scanner = this.#scanner;
    scanner.reset();
    scanner.maxLength = payload.length;
    const end = scanner.scan(payload, 0, payload.length);
    if (end !== payload.length) {
      throw new RangeError(
        end < 0
          ? `${payload.length} bytes end inside of a value`
          : `${payload.length - end} bytes follow the value`,
      );
    }
    const value = this.#decoder.decode(payload);
    if (payload.length > MAX_KEPT_INPUT) this.#decoder.decode(NIL);
    return value;
  }
}
