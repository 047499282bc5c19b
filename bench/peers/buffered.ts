// Lines into `cat`: BufferedWriter, or one write a line. See bench/buffered.ts.
//
//   deno run -A buffered.ts <same|format|bytes|write> <lines> <runs>
//
// Prints the median of the runs: nanoseconds from the first line to cat's exit.

import { BufferedWriter } from "../../pipe/buffered_writer.ts";

const [kind, lines, runs] = [
  Deno.args[0],
  ...Deno.args.slice(1).map(Number),
] as [
  string,
  number,
  number,
];
const text = "2026-01-01T00:00:00Z INFO request served in 12 ms by worker 3\n";
const bytes = new TextEncoder().encode(text);

async function writeEach(stdin: WritableStream<Uint8Array>): Promise<void> {
  const writer = stdin.getWriter();
  for (let line = 0; line < lines; line++) await writer.write(bytes);
  await writer.close();
}

async function buffered(stdin: WritableStream<Uint8Array>): Promise<void> {
  const writer = new BufferedWriter(stdin);
  for (let line = 0; line < lines; line++) {
    const room = writer.write(
      kind === "format"
        ? `2026-01-01T00:00:00Z INFO request ${line} served in ${
          line % 97
        } ms by worker ${line % 8}\n`
        : kind === "bytes"
        ? bytes
        : text,
    );
    if (room !== undefined) await room;
  }
  await writer.close();
}

async function run(): Promise<number> {
  const child = new Deno.Command("cat", {
    stdin: "piped",
    stdout: "null",
  }).spawn();
  const started = performance.now();
  await (kind === "write" ? writeEach : buffered)(child.stdin);
  const { success } = await child.status;
  if (!success) throw new Error("cat failed");
  return performance.now() - started;
}

const times: number[] = [];
for (let count = 0; count < runs; count++) times.push(await run());
times.sort((a, b) => a - b);
console.log(Math.round(times[runs >> 1] * 1e6));
