/**
 * A look inside a connection: {@linkcode tap} records what passes, for people, for
 * programs and for Wireshark, and {@linkcode meter} counts and times it, as a
 * snapshot and as OpenTelemetry metrics. Works with any duplex.
 *
 * @example Seeing a conversation
 * ```ts
 * import { channel, json, lines } from "@sluice/ipc/framing";
 * import { connectUnix, listenUnix } from "@sluice/ipc/socket";
 * import { tap, textSink } from "@sluice/ipc/observe";
 *
 * const path = `${await Deno.makeTempDir()}/a.sock`;
 * await using sink = textSink(); // lines on stderr
 * await using listener = await listenUnix({ path });
 * const format = lines();
 * await using client = channel(
 *   tap(await connectUnix({ path }), sink, { format, codec: json }),
 *   { format, codec: json },
 * );
 * await client.send({ hello: "there" });
 * await using _server = await listener.accept();
 * ```
 *
 * @module
 */

export * from "./connection_metrics.ts";
export * from "./json_lines_sink.ts";
export * from "./latency_histogram.ts";
export * from "./meter.ts";
export * from "./meter_options.ts";
export * from "./meter_snapshot.ts";
export * from "./pcapng_sink.ts";
export * from "./tap.ts";
export * from "./tap_options.ts";
export * from "./tap_record.ts";
export * from "./tap_sink.ts";
export * from "./text_sink.ts";

export * from "../duplex.ts";
export type { Codec } from "../framing/codec.ts";
export type {
  FrameDecoder,
  FrameFormat,
  FrameLimits,
} from "../framing/format.ts";
