// The tables of docs/performance.md, between its markers.

import { formatNumber } from "./chart.ts";
import { WORKLOADS } from "./contenders.ts";
import type { Measurement, Report, Spread } from "./results.ts";

const BEGIN = "<!-- report: begin -->";
const END = "<!-- report: end -->";

/** `text` with the tables of `report` between the markers. */
export function insertTables(text: string, report: Report): string {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) {
    throw new Error(`Cannot insert tables: ${BEGIN} and ${END} are missing`);
  }
  return text.slice(0, begin + BEGIN.length) + "\n\n" + tables(report) +
    "\n\n" + text.slice(end);
}

function tables(report: Report): string {
  const machine = Object.entries(report.machine)
    .map(([name, value]) => `${name} ${value}`).join(", ");
  const sections = [
    `Measured on: ${machine}. Median of ${report.rounds} rounds.`,
  ];
  for (const workload of WORKLOADS) {
    const rows = report.measurements.filter((row) =>
      row.workload === workload.name
    );
    if (rows.length === 0) continue;
    sections.push(`### ${capital(workload.name)}`, measurementTable(rows));
  }
  for (const [group, titles] of Object.entries(report.others)) {
    for (const [title, contenders] of Object.entries(titles)) {
      const rows = Object.entries(contenders).map(([name, value]) => [
        name,
        figure(value),
      ]);
      sections.push(
        `### ${capital(group)}: ${title}`,
        markdownTable([["", group === "rpc" ? "calls/s" : title], ...rows]),
      );
    }
  }
  return sections.join("\n\n");
}

function measurementTable(rows: readonly Measurement[]): string {
  const echo = rows[0].p50 !== undefined;
  const head = echo
    ? ["", "p50 µs", "p99 µs", "p99.9 µs", "CPU µs each", "memory MB"]
    : ["", "messages/s", "MB/s", "CPU µs each", "memory MB"];
  return markdownTable([
    head,
    ...rows.map((row) => [
      row.contender,
      ...echo
        ? [figure(row.p50!), figure(row.p99!), figure(row.p999!)]
        : [figure(row.rate), figure(row.megabytes)],
      formatNumber(row.cpu.median),
      formatNumber(row.memory.median / 1e6),
    ]),
  ]);
}

/** The median, and how far the rounds lie apart. */
function figure({ median, min, max }: Spread): string {
  if (min === max) return formatNumber(median);
  return `${formatNumber(median)} (${formatNumber(min)}–${formatNumber(max)})`;
}

function markdownTable([head, ...rows]: string[][]): string {
  const line = (cells: string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const rule = head.map((_, index) => index === 0 ? "---" : "---:");
  return [head, rule, ...rows].map(line).join("\n");
}

function capital(text: string): string {
  return text[0].toUpperCase() + text.slice(1);
}
