/**
 * Typed calls over any duplex: {@linkcode serve} a plain object on one side,
 * call it through a typed {@linkcode client} on the other. No code generation.
 *
 * Streams with backpressure, cancellation, deadlines, callbacks and faithful
 * errors travel over MessagePack-RPC; {@linkcode jsonRpc} and bare
 * {@linkcode messagePackRpc} speak with language servers, MCP servers and
 * Neovim. Nothing here needs a permission.
 *
 * @example A call, a stream and a deadline
 * ```ts
 * import { client, serve } from "@sluice/ipc/rpc";
 *
 * const handlers = {
 *   add: (a: number, b: number) => a + b,
 *   async *words(text: string) {
 *     yield* text.split(" ");
 *   },
 * };
 *
 * const [near, far] = [new TransformStream(), new TransformStream()];
 * await using _server = serve(
 *   { readable: far.readable, writable: near.writable },
 *   handlers,
 * );
 * await using api = client<typeof handlers>({
 *   readable: near.readable,
 *   writable: far.writable,
 * });
 *
 * if (await api.$with({ timeout: 1_000 }).add(1, 2) !== 3) throw new Error();
 * const words: string[] = [];
 * for await (const word of api.words("one two")) words.push(word);
 * if (words.length !== 2) throw new Error();
 * ```
 *
 * @module
 */

export * from "./call_options.ts";
export * from "./callback.ts";
export * from "./client.ts";
export * from "./context.ts";
export { RpcError } from "./errors.ts";
export type {
  RemoteErrorInfo,
  RpcErrorCode,
  RpcErrorOptions,
} from "./errors.ts";
export * from "./json_rpc.ts";
export * from "./message_pack_rpc.ts";
export * from "./peer.ts";
export * from "./protocol.ts";
export * from "./reconnecting_client.ts";
export * from "./reconnecting_types.ts";
export * from "./remote_stream.ts";
export * from "./serve.ts";
export * from "./session.ts";
export * from "./session_options.ts";
export * from "./types.ts";
export * from "./validated.ts";
export * from "./wire_types.ts";

export * from "../duplex.ts";
export type {
  Codec,
  FrameDecoder,
  FrameFormat,
  FrameLimits,
} from "../framing/mod.ts";
