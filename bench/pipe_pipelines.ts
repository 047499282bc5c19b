// Pipelines beside `sh -c` with the same commands, and the stream fallback
// beside `child.stdout.pipeTo(child.stdin)`, in turn in one run. The figures are
// the median of the wall times and the fastest, each with its ratio to the first
// way.
//
//   deno run -A bench/pipe_pipelines.ts [rounds]
//
// and without FFI, where the kernel connects only whom it is asked to connect:
//
//   deno run --allow-all --deny-ffi bench/pipe_pipelines.ts [rounds]

import { pipeline } from "../pipe/mod.ts";

const hasFfi = Deno.permissions.querySync({ name: "ffi" }).state === "granted";
const joined = { connection: hasFfi ? "auto" : "descriptors" } as const;
const PIPELINE = hasFfi ? "pipeline" : 'pipeline, "descriptors"';

const streams = { connection: "streams" } as const;

if (Deno.args[0] === "first") await measureFirst(Deno.args[1]);

const rounds = Number(Deno.args[0] ?? 7);
const directory = await Deno.makeTempDir();
const log = `${directory}/access.log`;
await writeLog(log, 3_000_000);

/** A text file of many lines, of which one in ten matches. */
async function writeLog(path: string, lines: number): Promise<void> {
  const file = await Deno.create(path);
  const writer = file.writable.getWriter();
  const encoder = new TextEncoder();
  for (let at = 0; at < lines; at += 1000) {
    let text = "";
    for (let line = at; line < at + 1000; line++) {
      text += `10.0.${line % 251}.${line % 17} GET /item/${line % 5003} ` +
        `${line % 10 === 0 ? 500 : 200} ${line % 977}\n`;
    }
    await writer.write(encoder.encode(text));
  }
  await writer.close();
}

async function sh(script: string): Promise<string> {
  const { stdout } = await new Deno.Command("sh", { args: ["-c", script] })
    .output();
  return new TextDecoder().decode(stdout);
}

async function pipeTo(size: string): Promise<string> {
  const head = new Deno.Command("head", {
    args: ["-c", size, "/dev/zero"],
    stdout: "piped",
  }).spawn();
  const wc = new Deno.Command("wc", {
    args: ["-c"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  await head.stdout.pipeTo(wc.stdin);
  const [{ stdout }] = await Promise.all([wc.output(), head.status]);
  return new TextDecoder().decode(stdout);
}

/** What the first pipeline of a program takes, and the tenth: in a program. */
async function measureFirst(connection: string): Promise<never> {
  const short = pipeline(["true"], ["true"], ["true"])
    .with(connection === "streams" ? streams : joined);
  const times: number[] = [];
  for (let run = 0; run < 10; run++) {
    const start = performance.now();
    await short.text();
    times.push(performance.now() - start);
  }
  console.log(times[0], times[9]);
  Deno.exit();
}

async function showFirst(): Promise<void> {
  console.log("true | true | true: the first of a program, and the tenth");
  const ways = { [PIPELINE]: "joined", "pipeline, streams": "streams" };
  const times: Record<string, number[][]> = {};
  for (let round = 0; round < rounds; round++) {
    for (const [name, connection] of Object.entries(ways)) {
      const { stdout } = await new Deno.Command(Deno.execPath(), {
        args: [
          ...["run", "--allow-all", ...(hasFfi ? [] : ["--deny-ffi"])],
          ...[import.meta.filename!, "first", connection],
        ],
      }).output();
      const figures = new TextDecoder().decode(stdout).split(" ").map(Number);
      (times[name] ??= []).push(figures);
    }
  }
  for (const [name, values] of Object.entries(times)) {
    const [first, tenth] = [0, 1].map((index) =>
      values.map((value) => value[index]).sort((a, b) => a - b)[
        values.length >> 1
      ].toFixed(1).padStart(6)
    );
    console.log(`  ${name.padEnd(36)} ${first} ms   tenth ${tenth} ms`);
  }
}

const zeros = (size: string) =>
  pipeline(["head", "-c", size, "/dev/zero"], ["wc", "-c"]).with(joined);
const text = pipeline(
  ["cat", log],
  ["grep", " 500 "],
  ["wc", "-l"],
).with(joined);
const sorting = pipeline(
  ["grep", " 500 ", log],
  ["cut", "-d", " ", "-f", "3"],
  ["sort"],
).with({ ...joined, env: { LC_ALL: "C" }, maxOutput: 64 << 20 });
const trues = pipeline(["true"], ["true"], ["true"]).with(joined);
const large = { pipeCapacity: 1 << 20 };

const measurements: Record<string, Record<string, () => Promise<string>>> = {
  "head -c 2G /dev/zero | wc -c": {
    "sh -c": () => sh("head -c 2G /dev/zero | wc -c"),
    [PIPELINE]: () => zeros("2G").text(),
    "pipeline, pipeCapacity 1 MiB": () => zeros("2G").with(large).text(),
    "pipeline, streams": () => zeros("2G").with(streams).text(),
    "child.stdout.pipeTo(child.stdin)": () => pipeTo("2G"),
  },
  "cat log | grep ' 500 ' | wc -l": {
    "sh -c": () => sh(`cat ${log} | grep ' 500 ' | wc -l`),
    [PIPELINE]: () => text.text(),
    "pipeline, pipeCapacity 1 MiB": () => text.with(large).text(),
    "pipeline, streams": () => text.with(streams).text(),
  },
  "grep ' 500 ' log | cut -d ' ' -f 3 | sort": {
    "sh -c": () =>
      sh(`LC_ALL=C; export LC_ALL
        grep ' 500 ' ${log} | cut -d ' ' -f 3 | sort`),
    [PIPELINE]: () => sorting.text(),
    "pipeline, pipeCapacity 1 MiB": () => sorting.with(large).text(),
  },
  "true | true | true: the start alone": {
    "sh -c": () => sh("true | true | true"),
    [PIPELINE]: () => trues.text(),
    "pipeline, group: false": () => trues.with({ group: false }).text(),
    "pipeline, streams": () => trues.with(streams).text(),
  },
  "512 MiB through this program, or past it": {
    "child.stdout.pipeTo(child.stdin)": () => pipeTo("512M"),
    "pipeline, streams": () => zeros("512M").with(streams).text(),
    // The least that a process between two others can cost: `cat` only copies.
    "sh -c, with cat between": () => sh("head -c 512M /dev/zero | cat | wc -c"),
    [PIPELINE]: () => zeros("512M").text(),
  },
};

for (const [title, ways] of Object.entries(measurements)) {
  const times: Record<string, number[]> = {};
  const results = new Set<string>();
  for (let round = 0; round <= rounds; round++) {
    for (const [name, run] of Object.entries(ways)) {
      if (!hasFfi && name.includes("pipeCapacity")) continue;
      const start = performance.now();
      results.add((await run()).trim());
      if (round > 0) (times[name] ??= []).push(performance.now() - start);
    }
  }
  if (results.size !== 1) throw new Error(`${title}: the results differ`);
  console.log(title);
  let base: number[] | undefined;
  for (const [name, values] of Object.entries(times)) {
    values.sort((a, b) => a - b);
    const figures = [values[values.length >> 1], values[0]];
    base ??= figures;
    const [median, fastest] = figures.map((value, index) =>
      `${value.toFixed(0).padStart(6)} ms  ` +
      `${(value / base![index]).toFixed(2)}x`
    );
    console.log(`  ${name.padEnd(36)} ${median}   fastest ${fastest}`);
  }
}
await showFirst();
await Deno.remove(directory, { recursive: true });
