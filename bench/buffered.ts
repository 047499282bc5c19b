// 100,000 lines of about 62 bytes into `cat`: BufferedWriter against one write a
// line, and against Rust's BufWriter. Run: deno run -A bench/buffered.ts [rounds]
//
// Each case has a process of its own, which does it 15 times (5 times for one
// write a line) and gives the median: from the first line to the exit of `cat`.
// Every case runs once per round; the table shows medians of the rounds.

import { fileURLToPath } from "node:url";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

const LINES = "100000";
const CASES = [
  { title: "lines formatted: BufferedWriter", ours: "format" },
  { title: "lines formatted: Rust's BufWriter", rust: "format" },
  { title: "the same line: BufferedWriter, text", ours: "same" },
  { title: "the same line: BufferedWriter, bytes", ours: "bytes" },
  { title: "the same line: Rust's BufWriter", rust: "same" },
  { title: "the same line: one write a line", ours: "write", runs: "5" },
];

async function run(binary: string, entry: typeof CASES[number]) {
  const { ours, rust, runs = "15" } = entry;
  const command = ours === undefined
    ? [binary, rust!]
    : [Deno.execPath(), "run", "-A", here("peers/buffered.ts"), ours];
  const { success, stdout } = await new Deno.Command("taskset", {
    args: ["-c", "0,1", ...command, LINES, runs],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`${entry.title} failed`);
  return Number(decode(stdout)) / 1e6;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

const rounds = Number(Deno.args[0] ?? 5);
const directory = await Deno.makeTempDir();
try {
  const binary = `${directory}/buffered`;
  const built = await new Deno.Command("rustc", {
    args: ["-O", "-o", binary, here("peers/buffered.rs")],
  }).output();
  if (!built.success) throw new Error(decode(built.stderr));
  const times = CASES.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, entry] of CASES.entries()) {
      times[index].push(await run(binary, entry));
    }
  }
  const write = median(times.at(-1)!);
  for (const [index, { title }] of CASES.entries()) {
    const time = median(times[index]);
    const faster = (write / time).toFixed(1).padStart(6);
    console.log(
      `${title.padEnd(38)} ${time.toFixed(1).padStart(7)} ms  ` +
        `${faster}x as fast as one write a line`,
    );
  }
} finally {
  await Deno.remove(directory, { recursive: true });
}
