// sluice choose: which mechanism two programs should use, and why.

import { choose, type Needs } from "../choose.ts";
import type { MeasureReport } from "../measure.ts";
import {
  type CommandSpec,
  type Input,
  textOption,
  UsageError,
} from "./_command.ts";

const SYSTEMS = ["linux", "darwin", "windows"] as const;

export const chooseCommand: CommandSpec = {
  name: "choose",
  summary: "Say which mechanism two programs should use, and why",
  positionals: [],
  options: {
    "cross-host": { type: "boolean", help: "they run on different machines" },
    encrypted: { type: "boolean", help: "what passes has to be encrypted" },
    "same-family": { type: "boolean", help: "one program starts the other" },
    size: {
      type: "string",
      value: "BYTES",
      help: "of a usual message (1024)",
    },
    rate: {
      type: "string",
      value: "N",
      help: "messages in a second, when it is busy (100)",
    },
    "round-trip": {
      type: "string",
      value: "MS",
      help: "the longest time there and back",
    },
    untrusted: { type: "boolean", help: "they do not trust each other" },
    "no-ffi": { type: "boolean", help: "--allow-ffi may not be given" },
    os: {
      type: "string",
      value: "SYSTEM",
      help: "where they run (this one)",
      choices: SYSTEMS,
    },
    measured: {
      type: "string",
      short: "m",
      value: "FILE",
      help: "figures of bench --json, in place of the built-in ones",
    },
    json: { type: "boolean", help: "as JSON" },
  },
  details:
    "The simplest mechanism that does it wins; speed counts only where " +
    "the simpler one is too slow. Nothing is measured or connected to.",
  examples: [
    "sluice choose",
    "sluice choose --size 8000000 --rate 120",
    "sluice choose --cross-host --round-trip 5",
    "sluice choose --measured figures.json --round-trip 0.02",
  ],
  async run(input) {
    const { options, terminal } = input;
    const needs: Needs = {
      crossHost: options["cross-host"] === true,
      sameFamily: options["same-family"] === true,
      trusted: options.untrusted !== true,
      ffi: options["no-ffi"] !== true,
      messageSize: numberOption(input, "size"),
      rate: numberOption(input, "rate"),
      roundTrip: numberOption(input, "round-trip"),
      os: textOption(input, "os") as Needs["os"],
      measured: await readFigures(textOption(input, "measured")),
    };
    if (options.encrypted === true) needs.encrypted = true;
    const choice = choose(needs);
    if (options.json === true) {
      terminal.print(JSON.stringify(choice, null, 2));
      return;
    }
    const { scheme, address, permissions, reasons, alternatives } = choice;
    terminal.print(
      `${terminal.paint("bold", `${scheme}:`)}  such as ` +
        terminal.paint("cyan", address),
    );
    terminal.print(`needs ${permissions.join(" ")}`);
    terminal.print("\nbecause");
    for (const reason of reasons) terminal.print(`  - ${reason}`);
    terminal.print("\ninstead");
    for (const { scheme, when } of alternatives) {
      terminal.print(
        `  - ${scheme}: ${terminal.paint("dim", when)}`,
      );
    }
    if (!choice.meetsNeeds) {
      terminal.note(
        terminal.paint("yellow", "\nNothing does all of it by the figures"),
      );
    }
  },
};

/** A number above 0, with fractions. */
function numberOption(input: Input, name: string): number | undefined {
  const text = textOption(input, name);
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!(text.trim() !== "" && number > 0 && number < Infinity)) {
    throw new UsageError(
      `--${name} is ${JSON.stringify(text)}: expected a number above 0`,
    );
  }
  return number;
}

/** What `sluice bench --json` wrote. */
async function readFigures(
  file: string | undefined,
): Promise<MeasureReport | undefined> {
  if (file === undefined) return undefined;
  const text = file === "-"
    ? await new Response(Deno.stdin.readable).text()
    : await Deno.readTextFile(file);
  try {
    const report = JSON.parse(text);
    for (const { scheme, roundTrip, throughput } of report.measured) {
      if (
        typeof scheme !== "string" || !(roundTrip.p50 > 0) || !(throughput > 0)
      ) throw new TypeError("a figure is missing");
    }
    return report;
  } catch (cause) {
    throw new UsageError(
      `--measured ${file} holds no figures of sluice bench --json: ` +
        (cause as Error).message,
      { cause },
    );
  }
}
