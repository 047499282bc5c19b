// Framed messages over a Unix socket between two processes, pinned to different
// cores: one way, and round trips. The first way moves the same bytes without
// looking for frames. Each way is measured in turn, several times;
// the median counts. Rust's standard library runs the same where rustc is.
//
//   deno run -A bench/framing_throughput.ts [rounds]

const rounds = Number(Deno.args[0] ?? 5);
const peer = new URL("peers/framing_peer.ts", import.meta.url).pathname;
const rustSource = new URL("peers/framing_peer.rs", import.meta.url).pathname;

interface Way {
  name: string;
  /** Starts one end. */
  command: (role: string, path: string, count: number) => string[];
  oneWayOnly?: boolean;
}

function deno(way: string): Way["command"] {
  return (role, path, count) => [
    ...[Deno.execPath(), "run", "-A", "--no-check", peer],
    ...[role, way, path, String(count)],
  ];
}

const directory = await Deno.makeTempDir();
const ways: Way[] = [
  { name: "conn.read and conn.write", command: deno("bare") },
  { name: "FrameEncoderStream, FrameDecoderStream", command: deno("streams") },
  { name: "channel, bytes", command: deno("bytes") },
  {
    name: "channel's writable and readable, bytes",
    command: deno("channel-streams"),
    oneWayOnly: true,
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

async function measure(
  title: string,
  roles: [string, string],
  count: number,
  unit: (perSecond: number) => string,
  ratio: (own: number, base: number) => number,
): Promise<void> {
  const chosen = ways.filter(({ oneWayOnly }) =>
    roles[0] === "receive" || !oneWayOnly
  );
  const results = chosen.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, way] of chosen.entries()) {
      results[i].push(await run(way, roles, count));
    }
  }
  console.log(`\n${title}, median of ${rounds}`);
  const base = median(results[0]);
  for (const [i, { name }] of chosen.entries()) {
    const own = median(results[i]);
    console.log(
      name.padEnd(42),
      unit(own).padStart(18),
      `${ratio(own, base).toFixed(2)}x`.padStart(8),
    );
  }
}

try {
  await measure(
    "64-byte messages one way",
    ["receive", "send"],
    2_000_000,
    (perSecond) => `${(perSecond / 1e6).toFixed(2)} million/s`,
    (own, base) => own / base,
  );
  await measure(
    "Round trips of 64 bytes, one after the other (time, 1x is the first)",
    ["answer", "call"],
    20_000,
    (perSecond) => `${(1e6 / perSecond).toFixed(1)} µs`,
    (own, base) => base / own,
  );
} finally {
  await Deno.remove(directory, { recursive: true });
}
