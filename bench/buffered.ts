// 100,000 lines of 62 bytes into `cat`: BufferedWriter against one write a line
// and against Rust's BufWriter, each in a process of its own, pinned to a core.
// Run: deno run -A bench/buffered.ts [rounds] [lines]
//
// The time is from the first line to the exit of `cat`. Every case runs once per
// round, so that all of them see the same noise; the table shows medians.

const here = (path: string) => new URL(path, import.meta.url).pathname;
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

const rounds = Number(Deno.args[0] ?? 9);
const lines = Deno.args[1] ?? "100000";

const KINDS = {
  "text": "BufferedWriter, text",
  "await": "BufferedWriter, text, every write awaited",
  "bytes": "BufferedWriter, bytes",
  "write": "one write a line",
  "rust": "Rust's BufWriter",
};

async function measure(kind: string, binary: string): Promise<number> {
  const command = kind === "rust"
    ? [binary, lines]
    : [Deno.execPath(), "run", "-A", here("peers/buffered.ts"), kind, lines];
  const { success, stdout } = await new Deno.Command("taskset", {
    args: ["-c", "0,1", ...command],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${kind} failed`);
  return Number(decode(stdout)) / 1e6;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

const directory = await Deno.makeTempDir();
try {
  const binary = `${directory}/buffered`;
  const built = await new Deno.Command("rustc", {
    args: ["-O", "-o", binary, here("peers/buffered.rs")],
  }).output();
  if (!built.success) throw new Error(decode(built.stderr));
  const times: Record<string, number[]> = {};
  for (let round = 0; round < rounds; round++) {
    for (const kind of Object.keys(KINDS)) {
      (times[kind] ??= []).push(await measure(kind, binary));
    }
  }
  const write = median(times.write);
  const rust = median(times.rust);
  for (const [kind, title] of Object.entries(KINDS)) {
    const time = median(times[kind]);
    console.log(
      `${title.padEnd(42)} ${time.toFixed(1).padStart(8)} ms   ` +
        `${(write / time).toFixed(1).padStart(6)}x one write a line   ` +
        `${(time / rust).toFixed(2).padStart(6)}x the time of Rust`,
    );
  }
} finally {
  await Deno.remove(directory, { recursive: true });
}
