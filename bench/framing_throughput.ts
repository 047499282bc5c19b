// Framed messages over a Unix socket between two processes, pinned to different
// cores: one way, and round trips. The first way moves the same bytes without
// looking for frames. One way, each is measured in turn, several times; round
// trips take turns with the first way between the same two processes. The median
// counts. Rust's standard library runs the same where rustc is.
//
//   deno run -A bench/framing_throughput.ts [rounds]

import { fileURLToPath } from "node:url";

const rounds = Number(Deno.args[0] ?? 5);
const peer = fileURLToPath(new URL("peers/framing_peer.ts", import.meta.url));
const rustSource = fileURLToPath(
  new URL("peers/framing_peer.rs", import.meta.url),
);

interface Way {
  name: string;
  /** Starts one end. */
  command: (role: string, path: string, count: number) => string[];
}

function deno(way: string): Way["command"] {
  return (role, path, count) => [
    ...[Deno.execPath(), "run", "-A", "--no-check", peer],
    ...[role, way, path, String(count)],
  ];
}

const roundTripPeer = fileURLToPath(
  new URL("peers/round_trip_peer.ts", import.meta.url),
);
const directory = await Deno.makeTempDir();
const TITLES: Record<string, string> = {
  bare: "conn.read and conn.write",
  streams: "FrameEncoderStream, FrameDecoderStream",
  bytes: "channel, bytes",
  msgpack: "channel, msgpack",
};
const ways: Way[] = [
  { name: "conn.read and conn.write", command: deno("bare") },
  { name: "FrameEncoderStream, FrameDecoderStream", command: deno("streams") },
  { name: "channel, bytes", command: deno("bytes") },
  {
    name: "channel's writable and readable, bytes",
    command: deno("channel-streams"),
  },
  { name: "channel, msgpack", command: deno("msgpack") },
];
const rust = await compileRust();
if (rust !== undefined) {
  ways.push({
    name: "Rust std, buffered",
    command: (role, path, count) => [rust, role, path, String(count)],
  });
}

async function compileRust(): Promise<string | undefined> {
  const program = `${directory}/framing_peer`;
  try {
    const { success } = await new Deno.Command("rustc", {
      args: ["-O", "-o", program, rustSource],
    }).output();
    return success ? program : undefined;
  } catch { // no rustc here
    return undefined;
  }
}

/** Runs both ends and returns the operations per second. */
async function run(way: Way, roles: [string, string], count: number) {
  const path = `${directory}/${crypto.randomUUID()}.sock`;
  const start = (role: string, core: number) =>
    new Deno.Command("taskset", {
      args: ["-c", String(core), ...way.command(role, path, count)],
      stderr: "inherit",
      stdout: "piped",
    }).output();
  const outputs = await Promise.all([start(roles[0], 0), start(roles[1], 1)]);
  const text = outputs.map(({ stdout }) => new TextDecoder().decode(stdout));
  return Number(text.join("").trim());
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

async function measureOneWay(): Promise<void> {
  const results = ways.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, way] of ways.entries()) {
      results[i].push(await run(way, ["receive", "send"], 2_000_000));
    }
  }
  console.log(`\n64-byte messages one way, median of ${rounds}`);
  const base = median(results[0]);
  for (const [i, { name }] of ways.entries()) {
    const own = median(results[i]);
    const rate = `${(own / 1e6).toFixed(2)} million/s`;
    print(name, rate, own / base);
  }
}

function print(name: string, figure: string, ratio?: number): void {
  console.log(
    name.padEnd(42),
    figure.padStart(18),
    ratio === undefined ? "" : `${ratio.toFixed(2)}x`.padStart(8),
  );
}

interface RoundTrips {
  microseconds: number;
  /** To the bare loop between the same two processes. */
  ratio: number;
}

async function runRoundTrips(way: string, bytes: number): Promise<RoundTrips> {
  const own = await Deno.makeTempDir({ dir: directory });
  const start = (role: string, core: number) =>
    new Deno.Command("taskset", {
      args: ["-c", String(core), Deno.execPath(), "run", "-A", "--no-check"]
        .concat(roundTripPeer, role, way, own, String(bytes)),
      stderr: "inherit",
      stdout: "piped",
    }).spawn();
  const answering = start("answer", 0);
  await answering.stdout.getReader().read(); // it listens
  const { stdout } = await start("call", 1).output();
  answering.kill();
  await answering.status;
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function measureRoundTrips(
  bytes: number,
  ways: readonly string[],
): Promise<void> {
  const runs: RoundTrips[][] = ways.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, way] of ways.entries()) {
      runs[i].push(await runRoundTrips(way, bytes));
    }
  }
  const unit = bytes < 1024 ? `${bytes} bytes` : `${bytes / 1024} KiB`;
  console.log(
    `\nRound trips of ${unit}, one after the other (time, beside the first in ` +
      `the same two processes), median of ${rounds}`,
  );
  for (const [i, way] of ways.entries()) {
    const time = median(runs[i].map(({ microseconds }) => microseconds));
    const ratio = median(runs[i].map(({ ratio }) => ratio));
    print(TITLES[way], `${time.toFixed(1)} µs`, ratio);
  }
}

async function measureRust(way: Way): Promise<void> {
  const results: number[] = [];
  for (let round = 0; round < rounds; round++) {
    results.push(await run(way, ["answer", "call"], 20_000));
  }
  print(way.name, `${(1e6 / median(results)).toFixed(1)} µs`);
}

try {
  await measureOneWay();
  await measureRoundTrips(64, ["bare", "streams", "bytes", "msgpack"]);
  if (rust !== undefined) await measureRust(ways.at(-1)!);
  await measureRoundTrips(64 * 1024, ["bare", "streams", "bytes"]);
} finally {
  await Deno.remove(directory, { recursive: true });
}
