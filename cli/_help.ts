// The help of all commands and of each.

import type { CommandSpec } from "./_command.ts";

/** The help of one command. */
export function commandHelp(command: CommandSpec): string {
  const { name, summary, positionals, options, details, examples } = command;
  const rows = Object.entries(options).map(([long, option]): Row => {
    const short = option.short === undefined ? "    " : `-${option.short}, `;
    const value = option.value === undefined ? "" : ` ${option.value}`;
    return [
      `${short}--${long}${value}`,
      option.choices === undefined
        ? option.help
        : `${option.help}:\n${option.choices.join(", ")}`,
    ];
  });
  rows.push(["-h, --help", "this help"]);
  return [
    `${summary}.`,
    "",
    `Usage: sluice ${name} [options] ${positionals.join(" ")}`.trimEnd(),
    ...details === undefined ? [] : ["", ...wrap(details, 79)],
    "",
    "Options:",
    ...table(rows),
    "",
    "Examples:",
    ...examples.map((example) => `  ${example}`),
  ].join("\n");
}

/** The list of commands. */
export function overview(
  commands: readonly CommandSpec[],
  schemes: readonly string[],
): string {
  return [
    "Let two programs talk: over pipes, FIFOs, Unix sockets, TCP, shared memory.",
    "",
    "Usage: sluice <command> [options] [arguments]",
    "",
    "Commands:",
    ...table(commands.map(({ name, summary }): Row => [name, summary]), 13),
    "",
    `Addresses: ${schemes.map((scheme) => `${scheme}:`).join(" ")}`,
    "",
    "More: sluice help <command>",
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 Ctrl-C",
  ].join("\n");
}

type Row = [left: string, right: string];

const WIDTH = 26;

function table(rows: Row[], width: number = WIDTH): string[] {
  return rows.flatMap(([left, right]) => {
    const [first, ...more] = right.split("\n")
      .flatMap((line) => wrap(line, 79 - width - 2));
    const head = left.length < width
      ? [`  ${left.padEnd(width)}${first}`]
      : [`  ${left}`, `  ${" ".repeat(width)}${first}`];
    return [...head, ...more.map((line) => `  ${" ".repeat(width)}${line}`)];
  });
}

/** Breaks a line at spaces, so that none is longer than `width`. */
function wrap(line: string, width: number): string[] {
  const lines: string[] = [];
  let current = "";
  for (const word of line.split(" ")) {
    if (current !== "" && current.length + 1 + word.length > width) {
      lines.push(current);
      current = "";
    }
    current += current === "" ? word : ` ${word}`;
  }
  return [...lines, current];
}
