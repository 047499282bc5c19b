import { Decoder, type DecoderOptions, Encoder } from "@msgpack/msgpack";
import { FrameError } from "./frame_error.ts";
import { invalidMessage } from "./_invalid_message.ts";
import { MessagePackScanner } from "./_message_pack_scanner.ts";
import { Extensions } from "./_msgpack_extensions.ts";
import { finishIntegers, prepareIntegers, toKey } from "./_msgpack_integers.ts";
import { MsgpackReader, NOT_HERE } from "./_msgpack_reader.ts";
import { MsgpackWriter } from "./_msgpack_writer.ts";
import type { RangeCodec } from "./_range_codec.ts";

/** An encoder's buffer never shrinks: above this, in bytes, a new one is made. */
const MAX_KEPT_BUFFER = 1024 * 1024;

/** A decoder holds on to its last input: above this, in bytes, it is made to let go. */
const MAX_KEPT_INPUT = 64 * 1024;
const NIL = new Uint8Array([0xc0]);

/**
 * MessagePack by `@msgpack/msgpack`, with its buffers reused. What small messages
 * are made of is read and written by hand, to the same bytes and values.
 */
export class MsgpackCodec implements RangeCodec {
  readonly name = "msgpack";
  readonly small: Uint8Array;
  keeps = true;
  #writer: MsgpackWriter;
  #reader: MsgpackReader;
  /** A getter of what is encoded may encode too. */
  #writing = false;
  #maxDepth: number;
  #exactIntegers: boolean;
  #extensions: Extensions;
  #encoder: Encoder;
  #decoder: Decoder;
  /** For payloads too short to nest too deep: its own bounds suffice. */
  #shortDecoder: Decoder;
  #scanner: MessagePackScanner;

  constructor(maxDepth: number, exactIntegers: boolean) {
    this.#maxDepth = maxDepth;
    this.#exactIntegers = exactIntegers;
    this.#writer = new MsgpackWriter(maxDepth, exactIntegers);
    this.#reader = new MsgpackReader(maxDepth, exactIntegers);
    this.small = this.#writer.bytes;
    this.#extensions = new Extensions(
      maxDepth,
      (value) => this.#createEncoder().encode(this.#prepare(value)),
      (payload) => this.#decode(payload),
    );
    this.#encoder = this.#createEncoder();
    const options: DecoderOptions = {
      extensionCodec: this.#extensions,
      useBigInt64: exactIntegers,
      mapKeyConverter: exactIntegers ? toKey : undefined,
    };
    this.#decoder = new Decoder(options);
    this.#shortDecoder = new Decoder({
      ...options,
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
      useBigInt64: this.#exactIntegers,
    });
  }

  #prepare(value: unknown): unknown {
    return this.#exactIntegers ? prepareIntegers(value, this.#maxDepth) : value;
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

  encodeSmall(value: unknown): number {
    if (this.#writing) return -1;
    this.#writing = true;
    try {
      return this.#writer.write(value);
    } catch (cause) { // a getter's
      throw invalidMessage("encode", cause);
    } finally {
      this.#writing = false;
    }
  }

  encodeShared(value: unknown): Uint8Array {
    const length = this.encodeSmall(value);
    if (length >= 0) return this.small.subarray(0, length);
    try {
      this.#extensions.level = 0;
      const bytes = this.#encoder.encodeSharedRef(this.#prepare(value));
      if (bytes.buffer.byteLength > MAX_KEPT_BUFFER) {
        this.#encoder = this.#createEncoder();
      }
      return bytes;
    } catch (cause) {
      throw invalidMessage("encode", this.#explain(cause));
    }
  }

  decode(payload: Uint8Array): unknown {
    return this.decodeRange(payload, 0, payload.length);
  }

  decodeRange(bytes: Uint8Array, start: number, end: number): unknown {
    const value = this.#reader.read(bytes, start, end);
    this.keeps = this.#reader.keeps;
    return value === NOT_HERE
      ? this.#decodeAny(bytes.subarray(start, end))
      : value;
  }

  #decodeAny(payload: Uint8Array): unknown {
    this.keeps = true;
    try {
      this.#extensions.level = 0;
      return this.#decode(payload);
    } catch (cause) {
      throw invalidMessage("decode", this.#explain(cause));
    }
  }

  #decode(payload: Uint8Array): unknown {
    const value = this.#decodeByLibrary(payload);
    return this.#exactIntegers ? finishIntegers(value) : value;
  }

  #decodeByLibrary(payload: Uint8Array): unknown {
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
