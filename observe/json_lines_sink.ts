import { checkInteger } from "../_async/check.ts";
import { cut, errorText } from "./_preview.ts";
import { openTarget, type Target } from "./_target.ts";
import type { TapRecord } from "./tap_record.ts";
import { TapSink, type TapSinkOptions } from "./tap_sink.ts";

/** Options of {@linkcode jsonLinesSink}. */
export interface JsonLinesSinkOptions extends TapSinkOptions {
  /**
   * Whether a file that is there is added to rather than replaced.
   *
   * @default {false}
   */
  append?: boolean;
  /**
   * Whether a stream stays open when the sink closes.
   *
   * @default {false}
   */
  preventClose?: boolean;
  /**
   * The longest message in a line, in UTF-16 code units of its JSON. A longer
   * one is cut and stands as a string under `cut`.
   *
   * @default {4096}
   */
  maxMessageLength?: number;
  /**
   * How many of the payload's bytes stand in a line, in base64, where there is no
   * message.
   *
   * @default {256}
   */
  maxBytes?: number;
}

/**
 * A line of JSON for each record, for `jq` and log collectors: `time` (ISO 8601),
 * `kind`, `connection` (its number), and what {@linkcode TapRecord} has of the
 * kind. Bytes within a message stand as `{"$bytes": "<base64>"}`, a bigint as
 * `{"$bigint": "1"}`, a `Map` as `{"$map": [[key, value]]}`.
 *
 * Requires `--allow-write` for a path. A new file is readable by its owner only.
 *
 * @param target The path of a file, or a stream.
 * @param options Bounds of a line and of the queue.
 * @returns The sink.
 * @throws {Deno.errors.NotFound} If the file's directory is not there.
 * @throws {Deno.errors.NotCapable} Without `--allow-write`.
 * @throws {RangeError} If an option is out of range.
 *
 * @example A file
 * ```ts
 * import { jsonLinesSink, tap } from "@sluice/ipc/observe";
 * import { assertEquals } from "@std/assert";
 *
 * const path = await Deno.makeTempFile();
 * const sink = jsonLinesSink(path);
 * const pipe = new TransformStream<Uint8Array, Uint8Array>();
 * const tapped = tap(pipe, sink, { name: "pipe" });
 * tapped.writable.getWriter().write(new Uint8Array([104, 105]));
 * await tapped.readable.getReader().read();
 * await sink.close();
 *
 * const [open, sent] = (await Deno.readTextFile(path)).split("\n");
 * assertEquals(JSON.parse(open).name, "pipe");
 * assertEquals(JSON.parse(sent).bytes, btoa("hi"));
 * ```
 */
export function jsonLinesSink(
  target: string | URL | WritableStream<Uint8Array>,
  options: JsonLinesSinkOptions = {},
): TapSink {
  const { maxMessageLength = 4096, maxBytes = 256 } = options;
  checkInteger("maxMessageLength", maxMessageLength, 1);
  checkInteger("maxBytes", maxBytes, 0);
  const output = openTarget(target as Target, options);
  const encoder = new TextEncoder();
  return new TapSink({
    async write(records) {
      const lines = records.map((record) =>
        toJson(record, maxMessageLength, maxBytes)
      );
      await output.write(encoder.encode(`${lines.join("\n")}\n`));
    },
    close: () => output.close(),
  }, options);
}

function toJson(
  record: TapRecord,
  maxMessageLength: number,
  maxBytes: number,
): string {
  const time = new Date(record.time).toISOString();
  if (record.kind === "dropped") return JSON.stringify({ ...record, time });
  const { kind, connection } = record;
  const start = { time, kind, connection: connection.id };
  if (kind === "open") return JSON.stringify({ ...start, ...connection });
  if (kind !== "frame" && kind !== "bytes") {
    return JSON.stringify({
      ...record,
      ...start,
      ...("bytes" in record ? { bytes: record.bytes.toBase64() } : {}),
      ...("error" in record ? { error: errorText(record.error) } : {}),
    });
  }
  const { direction, offset, length, bytes, error } = record;
  const head = JSON.stringify({
    ...start,
    direction,
    offset,
    length,
    ...(error === undefined ? {} : { error: errorText(error) }),
  });
  let tail: string;
  if ("message" in record) {
    const message = stringify(record.message);
    tail = message.length <= maxMessageLength
      ? `"message":${message}`
      : `"cut":${JSON.stringify(cut(message, maxMessageLength))}`;
  } else {
    tail = `"bytes":${JSON.stringify(bytes.subarray(0, maxBytes).toBase64())}`;
  }
  return `${head.slice(0, -1)},${tail}}`;
}

function stringify(message: unknown): string {
  return JSON.stringify(message, function (this: unknown, key, value) {
    // A Date has become a string here already; `this[key]` is what it was.
    const original = (this as Record<string, unknown>)[key];
    if (original instanceof Uint8Array) return { $bytes: original.toBase64() };
    if (typeof value === "bigint") return { $bigint: String(value) };
    if (value instanceof Map) return { $map: [...value] };
    return value;
  }) ?? "null";
}
