import type { Duplex } from "../duplex.ts";
import { checkDuplex } from "../_async/check.ts";
import { DuplexChannel } from "./_channel.ts";
import { checkCodec, checkFormat } from "./_check_format.ts";
import type { Channel, ChannelOptions } from "./channel_types.ts";

/**
 * Makes a {@linkcode Channel} of any {@linkcode Duplex}: a connection of this
 * package, a `Deno.Conn`, a child's stdio or a pair of streams. It locks both
 * streams and begins to read.
 *
 * Memory is bounded either way: sending waits above `highWaterMark`, and while
 * messages wait to be received, at most one chunk's are held and no more is read.
 *
 * @example Text messages by line
 * ```ts
 * import { channel, lines, text } from "@sluice/ipc/framing";
 * import { assertEquals } from "@std/assert";
 *
 * const loop = new TransformStream<Uint8Array, Uint8Array>();
 * await using echo = channel(loop, { format: lines(), codec: text });
 * echo.send("one");
 * echo.send("two");
 * assertEquals(await echo.receive(), "one");
 * assertEquals(await echo.receive({ timeout: 1000 }), "two");
 * ```
 *
 * @typeParam In The messages that the peer sends.
 * @typeParam Out The messages for the peer.
 * @param duplex The streams, which no one else may use any more.
 * @param options Format, codec, limits and timeouts.
 * @returns The channel.
 * @throws {TypeError} If a stream is locked, or an argument of the wrong type.
 * @throws {RangeError} If a limit or timeout is out of its bounds.
 */
export function channel<In = unknown, Out = In>(
  duplex: Duplex,
  options: ChannelOptions<In, Out> = {},
): Channel<In, Out> {
  checkDuplex(duplex);
  if (options.format !== undefined) checkFormat(options.format);
  if (options.codec !== undefined) checkCodec(options.codec);
  return new DuplexChannel(duplex, options);
}
