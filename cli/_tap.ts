// sluice tap: a proxy that shows what passes.

import { connect, listen } from "../address.ts";
import type { Connection } from "../duplex.ts";
import { serveConnections } from "../_transport/serve_connections.ts";
import {
  ConnectionMetrics,
  jsonLinesSink,
  meter,
  pcapngSink,
  tap,
  TapSink,
  textSink,
} from "../observe/mod.ts";
import { bridge } from "./_bridge.ts";
import {
  CA,
  type CommandSpec,
  type Input,
  integerOption,
  textOption,
  TIMEOUT,
  timeoutOption,
  UsageError,
} from "./_command.ts";
import { messageOf, whose } from "./_errors.ts";
import { LISTEN_OPTIONS, listenOptions } from "./_listen.ts";
import { MESSAGE_OPTIONS, tapMessages } from "./_messages.ts";
import { OutputClosedError, type Terminal } from "./_terminal.ts";

/** How often the line of counters is renewed, in milliseconds. */
const STATUS_PERIOD = 250;

export const tapCommand: CommandSpec = {
  name: "tap",
  summary: "Stand between two addresses and show what passes",
  positionals: ["<listen address>", "<connect address>"],
  options: {
    frames: {
      ...MESSAGE_OPTIONS.frames,
      help: "show frames rather than chunks of bytes",
    },
    codec: {
      ...MESSAGE_OPTIONS.codec,
      help: "how to show a frame (text for lines and content-length, " +
        "msgpack for msgpack, else hex)",
    },
    json: {
      type: "string",
      short: "j",
      value: "FILE",
      help: "write a line of JSON for each record; - is standard output",
    },
    pcap: {
      type: "string",
      short: "w",
      value: "FILE",
      help: "write a capture for Wireshark; - is standard output",
    },
    quiet: {
      type: "boolean",
      short: "q",
      help: "no live lines, only the counters at the end",
    },
    preview: {
      type: "string",
      value: "N",
      help: "how many characters of a message a line shows (200)",
    },
    ...LISTEN_OPTIONS,
    ca: CA,
    timeout: TIMEOUT,
  },
  details: "Each connection to the first address gets one to the second, and " +
    "what passes is printed: -> goes to the second address, <- comes from it. " +
    "With stdio: as the first address, the program that started this one is " +
    "the client, and lines go to standard error. Ctrl-C ends it, with the " +
    "counters.",
  examples: [
    "sluice tap tcp:127.0.0.1:6380 tcp:localhost:6379",
    "sluice tap unix:/tmp/tap.sock unix:/run/app.sock --frames length --codec json",
    "sluice tap unix:/tmp/tap.sock shm:/run/app.sock --pcap app.pcapng",
    "sluice tap stdio: 'exec:deno lsp' -f content-length --json lsp.jsonl -q",
  ],
  async run(input) {
    const { positionals: [address, second], terminal } = input;
    const { signal } = terminal;
    const fromStdio = address === "stdio:";
    const framing = tapMessages(input.options);
    const maxConnections = integerOption(input, "max-connections", {
      min: 1,
      max: 1_000_000,
    });
    const timeout = timeoutOption(input);
    const stop = new AbortController(); // nobody reads the output any more
    const ending = AbortSignal.any([signal, stop.signal]);
    await using sink = openSink(input, fromStdio, (error) => stop.abort(error));
    using metrics = new ConnectionMetrics({ attributes: { command: "tap" } });
    let count = 0;
    const join = async (connection: Connection, signal: AbortSignal) => {
      await using other = await connect(second, { signal, timeout });
      count++;
      const tapped = tap(other, sink, { name: second, ...framing });
      const counted = meter(tapped, { metrics, format: framing.format });
      await bridge(connection, counted, signal);
    };
    const unit = framing.format === undefined ? "chunk" : "frame";
    const counters = () => showCounters(metrics, count, sink, unit);
    using _status = showStatus(terminal, counters);
    try {
      if (fromStdio) {
        await using stdio = await connect(address, { signal });
        await join(stdio, ending);
      } else {
        await using listener = await listen(
          address,
          await listenOptions(input),
        );
        terminal.note(`Listening on ${listener.address}`);
        await serveConnections(
          listener,
          (one, context) => join(one, context.signal),
          {
            signal: ending,
            maxConnections,
            graceTimeout: 1000,
            onError: (error, connection) => {
              if (ending.aborted) return;
              terminal.note(
                `${whose(listener, connection)}: ${messageOf(error)}`,
              );
            },
          },
        );
      }
    } finally {
      await sink.close();
      if (!stop.signal.aborted) terminal.note(counters());
    }
    ending.throwIfAborted();
  },
};

/** One sink for all that was asked for: live lines, JSON lines, a capture. */
function openSink(
  input: Input,
  fromStdio: boolean,
  stop: (error: unknown) => void,
): TapSink {
  const { terminal, options } = input;
  const json = textOption(input, "json");
  const pcap = textOption(input, "pcap");
  const preview = integerOption(input, "preview", { min: 1, max: 1_000_000 });
  const usesStdout = [json, pcap].filter((file) => file === "-").length;
  if (usesStdout > 1) {
    throw new UsageError("--json - and --pcap - can't share standard output");
  }
  if (usesStdout > 0 && fromStdio) {
    throw new UsageError(
      "stdio: has standard output: give a file instead of -",
    );
  }
  const onError = (error: unknown) => {
    if (error instanceof OutputClosedError) return stop(error);
    terminal.note(`Recording failed, connections go on: ${messageOf(error)}`);
  };
  const sinks: TapSink[] = [];
  const stdout = () =>
    new WritableStream<Uint8Array>({
      write: (bytes) => terminal.write(bytes),
    });
  if (json !== undefined) {
    sinks.push(jsonLinesSink(json === "-" ? stdout() : json, { onError }));
  }
  if (pcap !== undefined) {
    sinks.push(pcapngSink(pcap === "-" ? stdout() : pcap, { onError }));
  }
  if (options.quiet !== true && usesStdout === 0) {
    const print = fromStdio
      ? (line: string) => terminal.note(line)
      : (line: string) => terminal.print(colour(line, terminal));
    sinks.push(textSink({ print, maxPreviewLength: preview, onError }));
  }
  return new TapSink({
    write(records) {
      for (const sink of sinks) {
        for (const record of records) {
          const size = "bytes" in record ? record.bytes.length : 0;
          sink.push(() => record, size);
        }
      }
      // Counted as dropped here, where all are, rather than in each of them.
      return Promise.all(sinks.map((sink) => sink.flush())).then(() => {});
    },
    async close() {
      await Promise.all(sinks.map((sink) => sink.close()));
    },
  }, { onError });
}

/** Time dim, each direction in its colour, and what went wrong in red. */
function colour(line: string, terminal: Terminal): string {
  const match = /^(\S+) (#\d+) (->|<-) (.*)$/s.exec(line);
  if (match === null) return terminal.paint("dim", line);
  const [, time, id, arrow, what] = match;
  const bad = /^(not a frame|broke after|still waiting)/.test(what);
  return [
    terminal.paint("dim", `${time} ${id}`),
    terminal.paint(arrow === "->" ? "cyan" : "green", arrow),
    bad
      ? terminal.paint("red", what)
      : what.startsWith("end ")
      ? terminal.paint("dim", what)
      : what,
  ].join(" ");
}

/** Keeps the counters in the last line of a terminal. */
function showStatus(terminal: Terminal, text: () => string): Disposable {
  const timer = setInterval(() => terminal.progress(text()), STATUS_PERIOD);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function showCounters(
  metrics: ConnectionMetrics,
  count: number,
  sink: TapSink,
  unit: "frame" | "chunk",
): string {
  const now = metrics.snapshot();
  const { dropped, failed } = sink.stats;
  const parts = [
    `${plural(count, "connection")}, ${now.open} open`,
    `-> ${plural(now.messagesSent, unit)}, ${showBytes(now.bytesSent)}`,
    `<- ${plural(now.messagesReceived, unit)}, ${showBytes(now.bytesReceived)}`,
  ];
  if (now.errors > 0) parts.push(plural(now.errors, "error"));
  const lost = dropped + failed;
  if (lost > 0) parts.push(`${plural(lost, "record")} not shown`);
  return parts.join("  ");
}

function plural(count: number, unit: string): string {
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

/** Such as `340 B` or `1.2 MB`. */
function showBytes(count: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let power = 0;
  while (count >= 1000 && power < units.length - 1) {
    count /= 1000;
    power++;
  }
  return `${power === 0 ? count : count.toFixed(1)} ${units[power]}`;
}
