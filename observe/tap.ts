import type { Connection, Duplex } from "../duplex.ts";
import { checkFunction, checkInteger } from "../_async/check.ts";
import { checkTimeout } from "../_async/wait.ts";
import { intercept, isConnection } from "./_intercept.ts";
import { TapObserver } from "./_tap_observer.ts";
import type { TapOptions } from "./tap_options.ts";
import type { TapRecord } from "./tap_record.ts";
import { TapSink } from "./tap_sink.ts";

/**
 * Passes everything through unchanged and records it: each frame both ways with
 * its time, direction, length and decoded message, a frame that stays partial,
 * bytes that are no frame, and how each direction ended.
 *
 * Records wait in a bounded queue and are decoded and written off the
 * connection's path. A sink that is slow, throws or has a full disk loses
 * records, which are counted, and never harms the connection.
 *
 * The tap takes the duplex over: use what it returns in its place. Functions of
 * a transport, such as `peerCredentials`, still want the connection itself. Needs
 * no permission of its own.
 *
 * @param duplex A connection of any transport, or any pair of streams.
 * @param sink Where the records go: {@linkcode textSink},
 * {@linkcode jsonLinesSink}, {@linkcode pcapngSink}, a {@linkcode TapSink} of your
 * own, or a function that gets each record. The caller closes it.
 * @param options The format and codec of the frames, bounds, and redaction.
 * @returns A duplex, or a connection where a connection was given.
 * @throws {TypeError} If a stream is locked, or a codec comes without a format.
 * @throws {RangeError} If an option is out of range.
 *
 * @example What a client and a server say
 * ```ts
 * import { json, lines } from "@sluice/ipc/framing";
 * import { tap, textSink } from "@sluice/ipc/observe";
 * import { assertMatch } from "@std/assert";
 *
 * let log = "";
 * await using sink = textSink({ print: (line) => log += `${line}\n` });
 * const pipe = new TransformStream<Uint8Array, Uint8Array>();
 * const tapped = tap(pipe, sink, { name: "pipe", format: lines(), codec: json });
 *
 * const writer = tapped.writable.getWriter();
 * writer.write(new TextEncoder().encode('{"id":1}\n'));
 * await tapped.readable.getReader().read();
 * await sink.flush();
 * assertMatch(log, /-> 8 B {2}\{ id: 1 \}/);
 * ```
 */
export function tap(
  duplex: Connection,
  sink: TapSink | ((record: TapRecord) => void | Promise<void>),
  options?: TapOptions,
): Connection;
/**
 * Taps a duplex that is no connection: a pair of streams, a child's stdio.
 *
 * @param duplex Any pair of streams.
 * @param sink Where the records go. The caller closes it.
 * @param options The format and codec of the frames, bounds, and redaction.
 * @returns A duplex.
 * @throws {TypeError} If a stream is locked, or a codec comes without a format.
 * @throws {RangeError} If an option is out of range.
 */
export function tap(
  duplex: Duplex,
  sink: TapSink | ((record: TapRecord) => void | Promise<void>),
  options?: TapOptions,
): Duplex;
export function tap(
  duplex: Duplex,
  sink: TapSink | ((record: TapRecord) => void | Promise<void>),
  options: TapOptions = {},
): Duplex {
  const {
    enabled = true,
    name,
    role = "client",
    captureLength = 65536,
    partialFrameNotice = 1000,
  } = options;
  if (!enabled) return duplex;
  checkInteger("captureLength", captureLength, 0);
  checkTimeout("partialFrameNotice", partialFrameNotice);
  if (options.codec !== undefined && options.format === undefined) {
    throw new TypeError("Cannot tap with a codec and no format");
  }
  const { local = "", remote = "" } = isConnection(duplex) ? duplex : {};
  const observer = new TapObserver(toSink(sink), {
    ...options,
    captureLength,
    partialFrameNotice,
  }, { name: name ?? (remote || "duplex"), role, local, remote });
  const tapped = intercept(duplex, observer);
  observer.opened();
  return tapped;
}

function toSink(
  sink: TapSink | ((record: TapRecord) => void | Promise<void>),
): TapSink {
  if (sink instanceof TapSink) return sink;
  checkFunction("sink", sink);
  return new TapSink({
    async write(records) {
      for (const record of records) await sink(record);
    },
  });
}
