// Pieces of 64 KiB over a Unix socket between two processes, pinned to different
// cores: a bare loop of conn.read and conn.write, the same loop with a new buffer
// for each read (what handing chunks out costs by itself), the runtime's own
// streams, and ours, read by a default and by a BYOB reader. Each takes turns with
// the bare loop between the same two processes; the median counts. Rust's standard
// library runs the same where rustc is.
//
//   deno run -A bench/socket_throughput.ts [rounds] [MiB]

import { fileURLToPath } from "node:url";

const rounds = Number(Deno.args[0] ?? 5);
/** What one turn of sixteen moves; Rust has one turn of all. */
const mebibytes = Number(Deno.args[1] ?? 1024) / 4;
const peer = fileURLToPath(new URL("peers/socket_peer.ts", import.meta.url));
const rustSource = fileURLToPath(
  new URL("peers/socket_peer.rs", import.meta.url),
);

const WAYS = {
  bare: "conn.read and conn.write",
  runtime: "conn.readable and conn.writable",
  fresh: "conn.read with a new buffer each",
  sluice: "Sluice: readable and writable",
  byob: "Sluice: readable by a BYOB reader",
};

interface Result {
  /** Bytes per second. */
  rate: number;
  /** To the bare loop between the same two processes. */
  ratio: number;
}

const directory = await Deno.makeTempDir();

/** Runs both ends and returns what the receiving one prints. */
async function run(
  command: (role: string, own: string) => string[],
): Promise<string> {
  const own = await Deno.makeTempDir({ dir: directory });
  const start = (role: string, core: number) =>
    new Deno.Command("taskset", {
      args: ["-c", String(core), ...command(role, own)],
      stderr: "inherit",
      stdout: "piped",
    }).output();
  const [received] = await Promise.all([start("receive", 0), start("send", 1)]);
  return new TextDecoder().decode(received.stdout);
}

async function runWay(way: string): Promise<Result> {
  const text = await run((role, own) => [
    ...[Deno.execPath(), "run", "-A", "--no-check", peer],
    ...[role, way, own, String(mebibytes)],
  ]);
  return JSON.parse(text);
}

async function compileRust(): Promise<string | undefined> {
  const program = `${directory}/socket_peer`;
  try {
    const { success } = await new Deno.Command("rustc", {
      args: ["-O", "-o", program, rustSource],
    }).output();
    return success ? program : undefined;
  } catch { // no rustc here
    return undefined;
  }
}

async function runRust(program: string): Promise<number> {
  const bytes = String(4 * mebibytes * 2 ** 20);
  return Number(
    await run((role, own) => [program, role, `${own}/rust.sock`, bytes]),
  );
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

function print(name: string, rate: number, ...ratios: string[]): void {
  console.log(
    name.padEnd(34),
    `${(rate / 1e9).toFixed(2)} GB/s`.padStart(10),
    ...ratios.map((ratio) => ratio.padStart(16)),
  );
}

try {
  const results: Record<string, Result[]> = {};
  const rust = await compileRust();
  const rustRates: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const way of Object.keys(WAYS)) {
      (results[way] ??= []).push(await runWay(way));
    }
    if (rust !== undefined) rustRates.push(await runRust(rust));
  }
  console.log(
    `16 times ${mebibytes} MiB in 64 KiB pieces, median of ${rounds} rounds`,
  );
  const ratioOf = (way: string) =>
    median(results[way].map(({ ratio }) => ratio));
  for (const [way, name] of Object.entries(WAYS)) {
    print(
      name,
      median(results[way].map(({ rate }) => rate)),
      `${ratioOf(way).toFixed(2)}x bare`,
      `${(ratioOf(way) / ratioOf("runtime")).toFixed(2)}x runtime's`,
    );
  }
  if (rust !== undefined) {
    print("Rust std, read and write_all", median(rustRates));
  }
} finally {
  await Deno.remove(directory, { recursive: true });
}
