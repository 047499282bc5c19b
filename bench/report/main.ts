// The cross-process report: see README.md.
//
//   deno task bench:report [--quick] [--rounds N] [--only TEXT]

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Bar, drawChart } from "./chart.ts";
import { CONTENDERS, type Workload, WORKLOADS } from "./contenders.ts";
import { insertTables } from "./markdown.ts";
import { MEASURES } from "./others.ts";
import { type Measurement, type Report, sumUp } from "./results.ts";
import { findPrograms, runOnce, type RunResult, succeeds } from "./run.ts";

const { values: options } = parseArgs({
  args: Deno.args,
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    only: { type: "string", default: "" },
    output: { type: "string" },
  },
});
const rounds = Number(options.rounds ?? (options.quick ? 1 : 5));
const root = new URL("../../", import.meta.url);
const isOurs = (name: string) => name.startsWith("sluice");

const report: Report = {
  machine: await describeMachine(),
  rounds,
  measurements: [],
  others: {},
};
const directory = await Deno.makeTempDir({ prefix: "sluice_report" });
try {
  const programs = await findPrograms(directory);
  const contenders = CONTENDERS.filter(({ name, program }) => {
    if (!name.includes(options.only)) return false;
    if (programs[program] !== undefined) return true;
    console.log(`Left out: ${name}: ${program} is not there`);
    return false;
  });
  for (const workload of WORKLOADS.map(shortened)) {
    const runs = new Map<string, RunResult[]>();
    for (let round = 0; round < rounds; round++) {
      for (const contender of contenders) {
        progress(`${workload.name}: ${contender.name}, round ${round + 1}`);
        const program = programs[contender.program]!;
        const run = await runOnce(contender, workload, program, directory);
        runs.set(contender.name, [...runs.get(contender.name) ?? [], run]);
      }
    }
    for (const [contender, results] of runs) {
      const names = { contender, workload: workload.name };
      const row = sumUp(names, workload, results);
      report.measurements.push(row);
      show(row);
    }
  }
  for (const [group, measure] of Object.entries(MEASURES)) {
    if (options.only !== "" && !group.includes(options.only)) continue;
    progress(group);
    const found = await measure({ rounds, quick: options.quick });
    report.others[group] = found;
    for (const [title, contenders] of Object.entries(found)) {
      for (const [name, { median }] of Object.entries(contenders)) {
        console.log(
          `${`${group}, ${title}`.padEnd(44)}${name.padEnd(34)}${
            median.toFixed(1).padStart(14)
          }`,
        );
      }
    }
  }
  if (options.output !== undefined || (options.only === "" && !options.quick)) {
    await write(new URL(options.output ?? "bench/results/", root));
  }
} finally {
  progress("");
  await Deno.remove(directory, { recursive: true });
}

function shortened(workload: Workload): Workload {
  if (!options.quick) return workload;
  return { ...workload, count: Math.ceil(workload.count / 10) };
}

function show({ contender, workload, p50, p99, rate, megabytes }: Measurement) {
  const figures = p50 === undefined
    ? `${Math.round(rate.median).toLocaleString("en").padStart(12)}/s` +
      `${megabytes.median.toFixed(0).padStart(10)} MB/s`
    : `${p50.median.toFixed(1).padStart(10)} µs` +
      `${p99!.median.toFixed(1).padStart(12)} µs p99`;
  console.log(`${workload.padEnd(22)}${contender.padEnd(22)}${figures}`);
}

function progress(text: string): void {
  if (!Deno.stderr.isTerminal()) return;
  Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${text}`));
}

async function write(target: URL): Promise<void> {
  await Deno.mkdir(target, { recursive: true });
  const save = (name: string, text: string) =>
    Deno.writeTextFile(new URL(name, target), text);
  await save("report.json", `${JSON.stringify(report, undefined, 2)}\n`);
  const of = (name: string) =>
    report.measurements.filter(({ workload }) => workload === name);
  await save(
    "round_trip.svg",
    drawChart({
      title: "Round trip of 64 bytes: median, and 99th percentile",
      unit: "µs, less is better",
      bars: of("round trip, 64 B").map((row): Bar => ({
        label: row.contender,
        value: row.p50!.median,
        until: row.p99!.median,
        ours: isOurs(row.contender),
      })),
    }),
  );
  for (
    const [file, workload, title, unit, figure] of [
      ["messages", "one way, 64 B", "Messages of 64 bytes", "a second", "rate"],
      [
        "throughput",
        "one way, 64 KiB",
        "Messages of 64 KiB",
        "MB/s",
        "megabytes",
      ],
    ] as const
  ) {
    await save(
      `${file}.svg`,
      drawChart({
        title: `${title}, one way`,
        unit: `${unit}, more is better`,
        bars: of(workload).map((row): Bar => ({
          label: row.contender,
          value: row[figure].median,
          ours: isOurs(row.contender),
        })),
      }),
    );
  }
  const calls = Object.entries(report.others.rpc ?? {}).flatMap((
    [title, contenders],
  ) =>
    Object.entries(contenders).map(([name, { median }]): Bar => ({
      label: `${name}: ${title.split(", ").at(-1)}`,
      value: median,
      ours: isOurs(name),
    }))
  );
  if (calls.length > 0) {
    await save(
      "rpc.svg",
      drawChart({
        title: "RPC over a Unix socket",
        unit: "calls a second, more is better",
        bars: calls,
      }),
    );
  }
  const written = [fileURLToPath(target)];
  if (options.output === undefined) {
    const page = new URL("docs/performance.md", root);
    await Deno.writeTextFile(
      page,
      insertTables(await Deno.readTextFile(page), report),
    );
    written.push(fileURLToPath(page));
  }
  await succeeds(Deno.execPath(), ["fmt", "-q", ...written]);
}

async function describeMachine(): Promise<Record<string, string>> {
  const version = async (command: string, args: string[]) => {
    try {
      const { stdout } = await new Deno.Command(command, { args }).output();
      return new TextDecoder().decode(stdout).trim();
    } catch {
      return "none";
    }
  };
  const cpu = /^model name\s*:\s*(.+)$/m.exec(
    await Deno.readTextFile("/proc/cpuinfo").catch(() => ""),
  );
  return {
    CPU: cpu?.[1] ?? Deno.build.arch,
    cores: String(navigator.hardwareConcurrency),
    [Deno.build.os]: Deno.osRelease(),
    Deno: Deno.version.deno,
    Node: (await version("node", ["--version"])).replace(/^v/, ""),
    Rust: (await version("rustc", ["--version"])).split(" ")[1] ?? "none",
  };
}
