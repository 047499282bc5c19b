// 1 GiB in pieces of 64 KiB over a Unix socket between two processes, pinned to
// different cores: a bare loop of conn.read and conn.write, the same loop with a
// new buffer for each read (what handing chunks out costs by itself), the
// runtime's own streams, and ours, read by a default and by a BYOB reader. The
// ways take turns; the median counts. Rust's standard library runs the same
// where rustc is.
//
//   deno run -A bench/socket_throughput.ts [rounds] [MiB]

const rounds = Number(Deno.args[0] ?? 7);
const bytes = Number(Deno.args[1] ?? 1024) * 2 ** 20;
const peer = new URL("peers/socket_peer.ts", import.meta.url).pathname;
const rustSource = new URL("peers/socket_peer.rs", import.meta.url).pathname;

interface Way {
  name: string;
  command: (role: string, path: string) => string[];
  results: number[];
}

const directory = await Deno.makeTempDir();

function deno(name: string, way: string): Way {
  return {
    name,
    command: (role, path) => [
      ...[Deno.execPath(), "run", "-A", "--no-check", peer],
      ...[role, way, path, String(bytes)],
    ],
    results: [],
  };
}

async function compileRust(): Promise<Way[]> {
  const program = `${directory}/socket_peer`;
  try {
    const { success } = await new Deno.Command("rustc", {
      args: ["-O", "-o", program, rustSource],
    }).output();
    if (!success) return [];
  } catch { // no rustc here
    return [];
  }
  return [{
    name: "Rust std, read and write_all",
    command: (role, path) => [program, role, path, String(bytes)],
    results: [],
  }];
}

/** Runs both ends and returns bytes per second. */
async function run(way: Way): Promise<number> {
  const path = `${directory}/${crypto.randomUUID()}.sock`;
  const start = (role: string, core: number) =>
    new Deno.Command("taskset", {
      args: ["-c", String(core), ...way.command(role, path)],
      stderr: "inherit",
      stdout: "piped",
    }).output();
  const [received] = await Promise.all([start("receive", 0), start("send", 1)]);
  return Number(new TextDecoder().decode(received.stdout));
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

try {
  const ways = [
    deno("conn.read and conn.write", "bare"),
    deno("conn.readable and conn.writable", "runtime"),
    deno("conn.read with a new buffer each", "fresh"),
    deno("Sluice: readable and writable", "sluice"),
    deno("Sluice: readable by a BYOB reader", "byob"),
    ...await compileRust(),
  ];
  for (let round = 0; round < rounds; round++) {
    for (const way of ways) way.results.push(await run(way));
  }
  console.log(`${bytes / 2 ** 20} MiB in 64 KiB pieces, median of ${rounds}`);
  const [bare, runtime] = ways.map(({ results }) => median(results));
  for (const { name, results } of ways) {
    const own = median(results);
    console.log(
      name.padEnd(34),
      `${(own / 1e9).toFixed(2)} GB/s`.padStart(10),
      `${(own / bare).toFixed(2)}x bare`.padStart(11),
      `${(own / runtime).toFixed(2)}x runtime's`.padStart(16),
    );
  }
} finally {
  await Deno.remove(directory, { recursive: true });
}
