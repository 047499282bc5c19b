/**
 * Messages that arrive, over connections that come and go. Works over any
 * {@linkcode Duplex}; needs no permission and no Deno API of its own.
 *
 * | To | use |
 * | --- | --- |
 * | know that each message arrived, once and in order | {@linkcode reliableChannel}, {@linkcode reliableListener} |
 * | keep one stream of bytes, and what stands on it, across connections | {@linkcode reliableConnection}, {@linkcode reliableConnections} |
 * | come back to a server that speaks any protocol | {@linkcode reconnectingChannel} |
 * | see that a reader falls behind, and bound what waits for it | {@linkcode creditChannel} |
 * | ask and wait for the answer, for so long | {@linkcode exchange} |
 *
 * @example A message that has arrived, over any transport
 * ```ts
 * import { connect, listen } from "@sluice/ipc";
 * import { reliableChannel, reliableListener } from "@sluice/ipc/delivery";
 * import { assertEquals } from "@std/assert";
 *
 * await using server = reliableListener<string>(await listen("tcp:127.0.0.1:0"));
 * await using client = reliableChannel<unknown, string>(
 *   ({ signal }) => connect(server.address, { signal }),
 * );
 *
 * const sending = client.send("hello"); // again and again, until it is there
 * await using session = await server.accept();
 * assertEquals(await session.receive(), "hello");
 * await sending;
 * ```
 *
 * @module
 */

export * from "./credit_channel.ts";
export * from "./delivery_error.ts";
export * from "./exchange.ts";
export * from "./listener_types.ts";
export * from "./reconnecting_channel.ts";
export * from "./reconnecting_types.ts";
export * from "./reliable_channel.ts";
export * from "./reliable_connection.ts";
export * from "./reliable_listener.ts";
export * from "./reliable_types.ts";
export * from "./session_store.ts";
export type { Window } from "./window.ts";

export type { RetryOptions } from "../_async/retry.ts";
export * from "../duplex.ts";
export type {
  Channel,
  ChannelOptions,
  ChannelValidators,
  Codec,
  FrameDecoder,
  FrameErrorCode,
  FrameFormat,
  FrameLimits,
  StandardIssue,
  StandardResult,
  StandardSchema,
  Validator,
} from "../framing/mod.ts";
export { FrameError } from "../framing/mod.ts";
