// The committed results have what the harness measures, and each module a bench.
// Their figures are of one machine and one day: no test compares them.

import { assert, assertEquals } from "@std/assert";
import { CONTENDERS, OTHERS, WORKLOADS } from "../bench/report/contenders.ts";
import { drawChart, formatNumber } from "../bench/report/chart.ts";
import { insertTables } from "../bench/report/markdown.ts";
import { type Report, spread, sumUp } from "../bench/report/results.ts";

const root = new URL("..", import.meta.url);
const results = new URL("bench/results/", root);
const report: Report = JSON.parse(
  Deno.readTextFileSync(new URL("report.json", results)),
);

Deno.test("bench report: the committed results have every contender at every workload", () => {
  const key = (contender: string, workload: string) =>
    `${contender} at ${workload}`;
  assertEquals(
    report.measurements.map(({ contender, workload }) =>
      key(contender, workload)
    ),
    WORKLOADS.flatMap((workload) =>
      CONTENDERS.map(({ name }) => key(name, workload.name))
    ),
  );
  for (const [group, names] of Object.entries(OTHERS)) {
    for (const contenders of Object.values(report.others[group])) {
      assertEquals(Object.keys(contenders), [...names], group);
    }
  }
});

Deno.test("bench report: the charts and the page are those of the results", async () => {
  for (const name of ["round_trip", "messages", "throughput", "rpc"]) {
    const svg = await Deno.readTextFile(new URL(`${name}.svg`, results));
    assert(svg.startsWith("<svg"), name);
  }
  const page = await Deno.readTextFile(new URL("docs/performance.md", root));
  for (const { contender, p50 } of report.measurements) {
    assert(page.includes(`| ${contender}`), contender);
    if (p50 !== undefined) assert(page.includes(formatNumber(p50.median)));
  }
});

Deno.test("bench report: every module has a bench with a baseline in each group", async () => {
  const { exports } = JSON.parse(
    await Deno.readTextFile(new URL("deno.json", root)),
  );
  const without = ["duplex", "cli", "nats"]; // types, a program, a server's speed
  for (const name of Object.keys(exports)) {
    const module = name.slice(2);
    if (module === "" || without.includes(module)) continue;
    const file = (name: string) => new URL(`bench/${name}.ts`, root);
    let text = await Deno.readTextFile(file(`${module}_bench`));
    if (text.includes("await benchTransport(")) {
      text += await Deno.readTextFile(file("_transports"));
    }
    assert(/\bDeno\.bench\(/.test(text), module);
    assert(/\bbaseline: true|\bbaseline\b/.test(text), module);
  }
});

Deno.test("bench report: sums up rounds by their median", () => {
  assertEquals(spread([3, 1, 2]), { median: 2, min: 1, max: 3 });
  const run = { cpu: 1, memory: 5, p50: 10, p99: 20, p999: 30 };
  const row = sumUp({ contender: "a", workload: "b" }, { size: 10, count: 2 }, [
    { ...run, seconds: 1 },
    { ...run, seconds: 4 },
    { ...run, seconds: 2 },
  ]);
  assertEquals(row.rate, { median: 1, min: 0.5, max: 2 });
  assertEquals(row.megabytes.median, 10e-6);
  assertEquals(row.cpu.median, 500_000);
});

Deno.test("bench report: a chart escapes its labels and has a bar for each", () => {
  const svg = drawChart({
    title: "a < b",
    unit: "µs",
    bars: [
      { label: "x & y", value: 1, until: 90, ours: true },
      { label: "z", value: 0.5, ours: false },
    ],
  });
  assert(svg.includes("a &#60; b") && svg.includes("x &#38; y"));
  assertEquals(svg.match(/<rect x=/g)?.length, 2);
});

Deno.test("bench report: tables go between the markers, and nowhere else", () => {
  const text = "before\n<!-- report: begin -->old<!-- report: end -->\nafter";
  const page = insertTables(text, report);
  assert(page.startsWith("before\n<!-- report: begin -->\n\nMeasured on"));
  assert(page.endsWith("<!-- report: end -->\nafter"));
  assert(!page.includes("old"));
});

Deno.test("bench report: a name with a bar keeps its row's figures", () => {
  const text = "<!-- report: begin --><!-- report: end -->";
  const page = insertTables(text, report);
  const row = page.split("\n").find((line) => line.startsWith("| sh: head"))!;
  assertEquals(row.split(/(?<!\\)\|/).length, 4, row);
});
