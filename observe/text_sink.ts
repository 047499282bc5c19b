import { checkInteger } from "../_async/check.ts";
import { connectionText, errorText, hexAndText, preview } from "./_preview.ts";
import type { TapRecord } from "./tap_record.ts";
import { TapSink, type TapSinkOptions } from "./tap_sink.ts";

/** Options of {@linkcode textSink}. */
export interface TextSinkOptions extends TapSinkOptions {
  /**
   * Takes each line, without its end.
   *
   * @default {console.error}
   */
  print?: (line: string) => void;
  /**
   * The longest preview of a message, in UTF-16 code units.
   *
   * @default {200}
   */
  maxPreviewLength?: number;
}

/**
 * A line for each record, for people: time (UTC), the connection's number,
 * direction (`->` sent, `<-` received), length and a preview. Control characters
 * are escaped, so that no peer can write lines of its own or drive a terminal.
 *
 * Needs no permission.
 *
 * @param options How lines are printed, and the bounds of the queue.
 * @returns The sink.
 * @throws {RangeError} If an option is out of range.
 *
 * @example Lines of a duplex
 * ```ts
 * import { tap, textSink } from "@sluice/ipc/observe";
 * import { assertMatch } from "@std/assert";
 *
 * const lines: string[] = [];
 * const sink = textSink({ print: (line) => lines.push(line) });
 * const pipe = new TransformStream<Uint8Array, Uint8Array>();
 * const tapped = tap(pipe, sink, { name: "pipe" });
 * tapped.writable.getWriter().write(new Uint8Array([104, 105]));
 * await tapped.readable.getReader().read();
 * await sink.close();
 * assertMatch(lines[1], /^\d\d:\d\d:\d\d\.\d{6} #\d+ -> 2 B {2}68 69 {2}\|hi\|$/);
 * ```
 */
export function textSink(options: TextSinkOptions = {}): TapSink {
  const { print = (line) => console.error(line), maxPreviewLength = 200 } =
    options;
  checkInteger("maxPreviewLength", maxPreviewLength, 1);
  return new TapSink({
    write(records) {
      for (const record of records) print(toLine(record, maxPreviewLength));
    },
  }, options);
}

function toLine(record: TapRecord, maxPreviewLength: number): string {
  const time = clockTime(record.time);
  if (record.kind === "dropped") {
    return `${time} ${record.count} records dropped: the sink is too slow`;
  }
  const start = `${time} #${record.connection.id}`;
  if (record.kind === "open") {
    return `${start} tap on ${connectionText(record.connection)}`;
  }
  const arrow = record.direction === "sent" ? "->" : "<-";
  return `${start} ${arrow} ${what(record, maxPreviewLength)}`;
}

function what(
  record: Exclude<TapRecord, { kind: "dropped" | "open" }>,
  maxPreviewLength: number,
): string {
  switch (record.kind) {
    case "frame":
    case "bytes":
      return `${record.length} B  ${preview(record, maxPreviewLength)}`;
    case "partial":
      return `still waiting for the rest of a frame: ${record.buffered} of ` +
        `${record.expected ?? "unknown"} bytes came  ` +
        hexAndText(record.bytes, record.bytes.length);
    case "malformed":
      return `not a frame: ${errorText(record.error)}`;
    case "end":
      return `end after ${record.offset} B`;
    case "error":
      return `broke after ${record.offset} B: ${errorText(record.error)}`;
  }
}

/** Such as `21:03:04.123456`, in UTC. */
function clockTime(time: number): string {
  const micros = Math.floor((time % 1) * 1000);
  const seconds = new Date(Math.floor(time)).toISOString().slice(11, 23);
  return seconds + String(micros).padStart(3, "0");
}
