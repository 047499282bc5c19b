// sluice bench: what each transport does on this machine.

import { schemes } from "../address.ts";
import { measure } from "../measure.ts";
import {
  type CommandSpec,
  integerOption,
  textOption,
  UsageError,
} from "./_command.ts";

export const benchCommand: CommandSpec = {
  name: "bench",
  summary: "Measure what each transport does on this machine",
  positionals: [],
  options: {
    only: {
      type: "string",
      short: "o",
      value: "SCHEME,...",
      help: "measure these alone",
    },
    json: { type: "boolean", help: "as JSON, which choose --measured reads" },
    time: {
      type: "string",
      value: "MS",
      help: "how long each of the two figures is measured (500)",
    },
    size: {
      type: "string",
      value: "BYTES",
      help: "of a message that goes and comes back (1024)",
    },
    cert: {
      type: "string",
      value: "FILE",
      help: "certificate for localhost, to measure tls: too, PEM",
    },
    key: { type: "string", value: "FILE", help: "its private key, PEM" },
  },
  details: "Round trips go between two processes, one at a time; throughput " +
    "is one way. Figures of a machine that does other work are that much " +
    "worse: compare those of one run only.",
  examples: [
    "sluice bench",
    "sluice bench --only unix,shm --time 2000",
    "sluice bench --json > figures.json",
  ],
  async run(input) {
    const { terminal } = input;
    const possible = schemes({ listen: true });
    const wanted = textOption(input, "only")?.split(",") ?? possible;
    for (const scheme of wanted) {
      if (!possible.includes(scheme)) {
        throw new UsageError(
          `--only is ${JSON.stringify(scheme)}: expected ${
            possible.join(", ")
          }`,
        );
      }
    }
    const duration = integerOption(input, "time", { min: 1, max: 600_000 }) ??
      500;
    const messageSize = integerOption(input, "size", {
      min: 1,
      max: 16 * 1024 * 1024,
    });
    const cert = textOption(input, "cert");
    const key = textOption(input, "key");
    if ((cert === undefined) !== (key === undefined)) {
      throw new UsageError("--cert and --key go together");
    }
    const report = await measure({
      schemes: wanted,
      duration,
      messageSize,
      // Two figures, and time enough to start the second process.
      timeout: 2 * duration + 10_000,
      signal: terminal.signal,
      tls: cert === undefined || key === undefined ? undefined : {
        cert: await Deno.readTextFile(cert),
        key: await Deno.readTextFile(key),
      },
      onStart: (scheme) =>
        terminal.progress(
          `Measuring ${scheme}: (${wanted.indexOf(scheme) + 1} of ` +
            `${wanted.length})`,
        ),
    });
    if (input.options.json === true) {
      const { measured, skipped, messageSize, system } = report;
      const figures = { system, messageSize, measured, skipped };
      terminal.print(JSON.stringify(figures, null, 2));
      return;
    }
    const [system, header, ...rows] = String(report).split("\n");
    terminal.print(terminal.paint("dim", system));
    terminal.print(terminal.paint("bold", header));
    for (const [index, row] of rows.entries()) {
      const isFigure = index < report.measured.length;
      const text = row.replace(
        "options.tls with cert and key is missing",
        "needs --cert and --key",
      );
      terminal.print(isFigure ? text : terminal.paint("dim", text));
    }
    if (report.measured.length === 0) throw new Error("Nothing was measured");
  },
};
