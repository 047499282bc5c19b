/**
 * Messages over any stream of bytes: frame formats, codecs, transform streams
 * and {@linkcode channel}. Needs no permission and no Deno API.
 *
 * @example Typed messages over a pair of streams
 * ```ts
 * import { channel } from "@sluice/ipc/framing";
 * import { assertEquals } from "@std/assert";
 *
 * // Any duplex will do: a socket, a child's stdio, or these two pipes.
 * const there = new TransformStream<Uint8Array, Uint8Array>();
 * const back = new TransformStream<Uint8Array, Uint8Array>();
 * await using here = channel<{ pong: number }, { ping: number }>({
 *   readable: back.readable,
 *   writable: there.writable,
 * });
 * await using peer = channel<{ ping: number }, { pong: number }>({
 *   readable: there.readable,
 *   writable: back.writable,
 * });
 *
 * await here.send({ ping: 1 });
 * const { ping } = await peer.receive();
 * await peer.send({ pong: ping });
 * assertEquals(await here.receive(), { pong: 1 });
 * ```
 *
 * @module
 */

export * from "./bytes_codec.ts";
export * from "./channel.ts";
export * from "./channel_types.ts";
export * from "./codec.ts";
export * from "./content_length.ts";
export * from "./delimited.ts";
export * from "./encode_frame.ts";
export * from "./format.ts";
export * from "./frame_decoder_stream.ts";
export * from "./frame_encoder_stream.ts";
export * from "./frame_error.ts";
export * from "./json_codec.ts";
export * from "./length_prefixed.ts";
export * from "./message_pack.ts";
export * from "./msgpack_codec.ts";
export * from "./msgpack_extension.ts";
export * from "./std_msgpack_codec.ts";
export * from "./text_codec.ts";
export * from "./validator.ts";
export * from "./varint.ts";

export * from "../duplex.ts";
