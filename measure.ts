import { connect, schemes } from "./address.ts";
import { checkInteger, checkOneOf } from "./_async/check.ts";
import { checkTimeout, deadline, within } from "./_async/wait.ts";
import type { Connection, WaitOptions } from "./duplex.ts";
import { COUNT, ECHO, type PeerTask } from "./_measure_protocol.ts";
import {
  LatencyHistogram,
  type LatencySummary,
} from "./observe/latency_histogram.ts";

/** Options of {@linkcode measure}. */
export interface MeasureOptions extends WaitOptions {
  /**
   * Which schemes to measure.
   *
   * @default {schemes({ listen: true })}
   */
  schemes?: readonly string[];
  /**
   * The bytes of a message that goes and comes back.
   *
   * @default {1024}
   */
  messageSize?: number;
  /**
   * How long each figure is measured, in milliseconds. Each scheme has two.
   *
   * @default {500}
   */
  duration?: number;
  /**
   * The longest time for one scheme, in milliseconds: one that takes longer is
   * reported as not measured.
   *
   * @default {10000}
   */
  timeout?: number;
  /** Told of each scheme before it is measured, to show progress. */
  onStart?: (scheme: string) => void;
  /** What measuring `tls` needs, in PEM. Without it `tls` is not measured. */
  tls?: {
    /** The server's certificate, for `localhost`. */
    cert: string;
    /** Its private key. */
    key: string;
    /** The certificates that the client trusts; by default `cert`. */
    caCerts?: string[];
  };
}

/** The figures of one scheme. */
export interface Measured {
  /** Such as `"unix"`. */
  readonly scheme: string;
  /** A message there and back, one at a time, in milliseconds. */
  readonly roundTrip: LatencySummary;
  /** One way, in chunks of 64 KiB, in bytes per second. */
  readonly throughput: number;
}

/** A scheme that was not measured. */
export interface NotMeasured {
  /** Such as `"tls"`. */
  readonly scheme: string;
  /** Why not. */
  readonly reason: string;
}

/** What {@linkcode measure} found. */
export interface MeasureReport {
  /** The figures, the shortest median round trip first. */
  readonly measured: readonly Measured[];
  /** What was not measured, and why. */
  readonly skipped: readonly NotMeasured[];
  /** The bytes of a message. */
  readonly messageSize: number;
  /** Deno's version, the platform and its count of CPUs. */
  readonly system: string;
  /** A table for people. */
  toString(): string;
}

const CHUNK = 64 * 1024;
/** The schemes whose address is a path. */
const PATH_SCHEMES = ["unix", "shm", "fifo"];
/** Round trips before the measurement, until code and buffers are warm. */
const WARM_UP = 200;

/**
 * Measures every transport on this machine: this process and a second one, which
 * runs this package's own module with `deno run`. Round trips go one at a time;
 * throughput is one way. Nothing of it goes through a channel or a codec.
 *
 * It takes about a second for each scheme. Figures on a machine that does other
 * work are that much worse; compare those of one run only.
 *
 * Requires `--allow-run` for the `deno` executable and `--allow-read`,
 * `--allow-write` (a temporary directory), `--allow-net` for the transports, and
 * `--allow-ffi` for `shm`; a scheme whose permission is missing is reported as
 * not measured.
 *
 * @param options What to measure, and for how long.
 * @returns The figures. Pass them to {@linkcode choose} as `measured`.
 * @throws {Deno.errors.NotSupported} In a compiled program: it has no `deno run`.
 * @throws {Deno.errors.NotCapable} Without `--allow-run`.
 * @throws {TypeError} If a scheme is none of {@linkcode schemes}.
 * @throws {RangeError} If an option is out of range.
 * @throws The reason of `signal`, if it fires.
 *
 * @example What this machine does
 * ```ts
 * import { measure } from "@sluice/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * const report = await measure({ schemes: ["tcp"], duration: 20 });
 * console.log(String(report));
 * assertEquals(report.measured[0].scheme, "tcp");
 * ```
 */
export async function measure(
  options: MeasureOptions = {},
): Promise<MeasureReport> {
  const {
    schemes: wanted = schemes({ listen: true }),
    messageSize = 1024,
    duration = 500,
    timeout = 10_000,
    signal,
    tls,
  } = options;
  checkInteger("messageSize", messageSize, 1, 16 * 1024 * 1024);
  checkTimeout("duration", duration);
  for (const scheme of wanted) checkOneOf("scheme", scheme, schemes());
  if (Deno.build.standalone) {
    throw new Deno.errors.NotSupported(
      "Cannot measure: a compiled program can't start `deno run` for its peer, " +
        "run the measurement with the deno executable",
    );
  }
  const measured: Measured[] = [];
  const skipped: NotMeasured[] = [];
  for (const scheme of wanted) {
    signal?.throwIfAborted();
    const reason = reasonToSkip(scheme, tls !== undefined);
    if (reason !== undefined) {
      skipped.push({ scheme, reason });
      continue;
    }
    options.onStart?.(scheme);
    using limit = deadline(`Cannot measure ${scheme}`, { signal, timeout });
    try {
      measured.push(
        await measureOne(scheme, messageSize, duration, tls, limit.signal),
      );
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof RunError) throw error.cause;
      skipped.push({ scheme, reason: String(error) });
    }
  }
  measured.sort((a, b) => a.roundTrip.p50 - b.roundTrip.p50);
  const { os, arch } = Deno.build;
  const system = `Deno ${Deno.version.deno}, ${os} ${arch}, ` +
    `${navigator.hardwareConcurrency} CPUs`;
  const report = { measured, skipped, messageSize, system };
  return { ...report, toString: () => toTable(report) };
}

/** An error of starting any peer at all, which ends the measurement. */
class RunError extends Error {}

function reasonToSkip(scheme: string, hasTls: boolean): string | undefined {
  if (!schemes({ listen: true }).includes(scheme)) {
    return "can't be listened on";
  }
  if (scheme === "tls" && !hasTls) {
    return "options.tls with cert and key is missing";
  }
  if (scheme === "nats") return "needs a NATS server";
  if (Deno.build.os === "windows" && PATH_SCHEMES.includes(scheme)) {
    return "is not there on Windows";
  }
  return undefined;
}

async function measureOne(
  scheme: string,
  messageSize: number,
  duration: number,
  tls: MeasureOptions["tls"],
  signal: AbortSignal,
): Promise<Measured> {
  const isLocal = PATH_SCHEMES.includes(scheme);
  const directory = isLocal
    ? await Deno.makeTempDir({ prefix: "sluice" })
    : undefined;
  try {
    const address = directory === undefined
      ? `${scheme}:${scheme === "tls" ? "localhost" : "127.0.0.1"}:0`
      : `${scheme}:${directory}/a.sock`;
    await using peer = await startPeer({
      address,
      ...(scheme === "tls" && tls
        ? { tls: { cert: tls.cert, key: tls.key } }
        : {}),
    }, signal);
    const open = () =>
      connect(peer.address.replace("tls:127.0.0.1:", "tls:localhost:"), {
        signal,
        tls: { caCerts: tls && (tls.caCerts ?? [tls.cert]) },
      });
    const roundTrip = await measureRoundTrip(
      await open(),
      messageSize,
      duration,
      signal,
    );
    const throughput = await measureThroughput(await open(), duration, signal);
    return { scheme, roundTrip, throughput };
  } finally {
    if (directory !== undefined) {
      await Deno.remove(directory, { recursive: true });
    }
  }
}

interface Peer extends AsyncDisposable {
  address: string;
}

async function startPeer(task: PeerTask, signal: AbortSignal): Promise<Peer> {
  // The permissions that its transport needs, and no more.
  const permissions = ["--allow-read", "--allow-write", "--allow-net"];
  if (Deno.permissions.querySync({ name: "ffi" }).state === "granted") {
    permissions.push("--allow-ffi");
  }
  // What is published is bundled: tasks/_bundle.ts.
  const suffix = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const module = new URL(`./_measure_peer.${suffix}`, import.meta.url).href;
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-prompt",
        "--no-check",
        ...permissions,
        module,
        JSON.stringify(task),
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (cause) {
    throw new RunError("", { cause });
  }
  const output = child.stdout.getReader();
  const errors = readTail(child.stderr);
  const stop = async () => {
    try {
      child.kill("SIGKILL");
    } catch { // gone already
    }
    await Promise.all([
      child.stdin.abort().catch(() => {}),
      output.cancel().catch(() => {}),
      child.status,
      errors,
    ]);
  };
  try {
    const address = await within(
      firstLine(output),
      `Cannot start the peer of ${task.address}`,
      { signal },
    );
    if (address === undefined) {
      throw new Error(
        `Cannot start the peer ${module}: ${(await errors).trim()}`,
      );
    }
    return { address, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The first line, or `undefined` where the stream ends before. */
async function firstLine(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<string | undefined> {
  const decoder = new TextDecoder();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) return undefined;
    text += decoder.decode(value, { stream: true });
  }
  return text.slice(0, text.indexOf("\n"));
}

/** What a program said last, at most 2,000 characters. */
async function readTail(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    text = (text + decoder.decode(chunk, { stream: true })).slice(-2000);
  }
  return text;
}

async function measureRoundTrip(
  connection: Connection,
  messageSize: number,
  duration: number,
  signal: AbortSignal,
): Promise<LatencySummary> {
  using _abort = abortWith(connection, signal);
  const reader = connection.readable.getReader();
  const writer = connection.writable.getWriter();
  const message = new Uint8Array(messageSize);
  const histogram = new LatencyHistogram();
  await writer.write(new Uint8Array([ECHO]));
  let stopAt = Infinity;
  for (let round = 0; performance.now() < stopAt; round++) {
    if (round === WARM_UP) stopAt = performance.now() + duration;
    const start = performance.now();
    writer.write(message).catch(() => {}); // the read tells
    for (let missing = messageSize; missing > 0;) {
      const { value, done } = await reader.read();
      if (done) throw new Error("the peer ended the connection");
      missing -= value.length;
    }
    if (round >= WARM_UP) histogram.record(performance.now() - start);
  }
  connection.abort();
  return histogram.summary();
}

async function measureThroughput(
  connection: Connection,
  duration: number,
  signal: AbortSignal,
): Promise<number> {
  using _abort = abortWith(connection, signal);
  const reader = connection.readable.getReader();
  const writer = connection.writable.getWriter();
  const chunk = new Uint8Array(CHUNK);
  await writer.write(new Uint8Array([COUNT]));
  const start = performance.now();
  while (performance.now() < start + duration) {
    await writer.ready;
    writer.write(chunk).catch(() => {}); // `ready` tells
  }
  await writer.close();
  const answer = new Uint8Array(8);
  for (let at = 0; at < answer.length;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("the peer ended the connection");
    answer.set(value, at);
    at += value.length;
  }
  const seconds = (performance.now() - start) / 1000;
  connection.abort();
  return new DataView(answer.buffer).getFloat64(0) / seconds;
}

function abortWith(connection: Connection, signal: AbortSignal): Disposable {
  const onAbort = () => connection.abort(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort);
  return {
    [Symbol.dispose]: () => signal.removeEventListener("abort", onAbort),
  };
}

function toTable(
  { measured, skipped, messageSize, system }: Omit<MeasureReport, "toString">,
): string {
  const rows = [
    ["scheme", "round trip p50", "p99", "throughput"],
    ...measured.map(({ scheme, roundTrip, throughput }) => [
      `${scheme}:`,
      `${(roundTrip.p50 * 1000).toFixed(1)} µs`,
      `${(roundTrip.p99 * 1000).toFixed(1)} µs`,
      `${(throughput / 1e6).toFixed(0)} MB/s`,
    ]),
  ];
  const widths = rows[0].map((_, column) =>
    Math.max(...rows.map((row) => row[column].length))
  );
  const lines = rows.map((row) =>
    row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])
    ).join("  ")
  );
  return [
    `${system}; messages of ${messageSize} bytes, chunks of 64 KiB`,
    ...lines,
    ...skipped.map(({ scheme, reason }) =>
      `${scheme}: not measured: ${reason}`
    ),
  ].join("\n");
}
