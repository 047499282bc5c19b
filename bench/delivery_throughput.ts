// What reliable delivery costs: the same messages over a plain channel, over one
// with credit and over a reliable one, between two processes on a core each. Each
// way is measured in turn, several times; the median counts, also of the ratios
// within each round.
//
//   deno run -A bench/delivery_throughput.ts [rounds] [a word of the title]

import { fileURLToPath } from "node:url";

const rounds = Number(Deno.args[0] ?? 5);
const chosen = Deno.args[1] ?? "";
const peer = fileURLToPath(new URL("peers/delivery_peer.ts", import.meta.url));
const directory = await Deno.makeTempDir();

/** Runs both ends and returns the operations per second. */
async function run(
  roles: [string, string],
  way: string,
  codec: string,
  count: number,
  bytes: number,
): Promise<number> {
  const path = `${directory}/${crypto.randomUUID()}.sock`;
  const start = (role: string, core: number) =>
    new Deno.Command("taskset", {
      args: [
        ...["-c", String(core), Deno.execPath(), "run", "-A", "--no-check"],
        ...[peer, role, way, codec, path, String(count), String(bytes)],
      ],
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

async function measure(
  title: string,
  roles: [string, string],
  ways: string[],
  codec: string,
  count: number,
  bytes = 64,
): Promise<void> {
  if (!title.includes(chosen)) return;
  const results = ways.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, way] of ways.entries()) {
      results[i].push(await run(roles, way, codec, count, bytes));
    }
  }
  console.log(`\n${title}, median of ${rounds}`);
  for (const [i, way] of ways.entries()) {
    const own = median(results[i]);
    const ratios = results[i].map((rate, round) => rate / results[0][round]);
    console.log(
      way.padEnd(12),
      `${Math.round(own).toLocaleString("en")}/s`.padStart(16),
      `${median(ratios).toFixed(2)}x`.padStart(8),
    );
  }
}

const oneWay: [string, string] = ["receive", "send"];
const calls: [string, string] = ["answer", "call"];
const ways = ["plain", "credit", "reliable", "awaited", "checked"];
try {
  await measure("64 bytes one way", oneWay, ways, "bytes", 1_500_000);
  await measure(
    "A small call in MessagePack one way",
    oneWay,
    ways,
    "msgpack",
    600_000,
  );
  await measure("16 KiB one way", oneWay, ways, "bytes", 60_000, 16 * 1024);
  await measure("Round trips of 64 bytes", calls, ways, "bytes", 15_000);
} finally {
  await Deno.remove(directory, { recursive: true });
}
