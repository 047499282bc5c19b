// What a command of the command line is, and how its arguments are read.

import { parseArgs } from "node:util";
import type { Terminal } from "./_terminal.ts";

/** An option, such as `--timeout MS`. */
export interface OptionSpec {
  type: "boolean" | "string";
  /** One letter. */
  short?: string;
  /** What stands for the value in the help, such as `MS`. */
  value?: string;
  help: string;
  /** All values there are, where only some are valid. */
  choices?: readonly string[];
}

/** A command. Help, completions and parsing come from this alone. */
export interface CommandSpec {
  name: string;
  summary: string;
  /** What follows the options, in order: `<needed>`, `[optional]`, `[more...]`. */
  positionals: readonly string[];
  options: Readonly<Record<string, OptionSpec>>;
  /** Paragraphs under the summary. */
  details?: string;
  examples: readonly string[];
  /** First words, where the first positional has to be one of these. */
  words?: readonly string[];
  run(input: Input): Promise<void>;
}

/** The arguments of one run. */
export interface Input {
  positionals: string[];
  options: Record<string, string | boolean | undefined>;
  terminal: Terminal;
}

/** The user asked for something that can't be: exit code 2, with a hint. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Reads `args` as `command` has them. */
export function parseInput(
  command: CommandSpec,
  args: readonly string[],
  terminal: Terminal,
): Input {
  const { positionals, options } = parse(command, args);
  const needed = command.positionals.filter((name) => name.startsWith("<"));
  const rest = command.positionals.some((name) => name.endsWith("...]"));
  if (positionals.length < needed.length) {
    throw new UsageError(`${needed[positionals.length]} is missing`);
  }
  if (!rest && positionals.length > command.positionals.length) {
    const extra = positionals[command.positionals.length];
    throw new UsageError(`unexpected argument ${JSON.stringify(extra)}`);
  }
  for (const [name, { choices }] of Object.entries(command.options)) {
    const value = options[name];
    if (choices && value !== undefined && !choices.includes(String(value))) {
      throw new UsageError(
        `--${name} is ${JSON.stringify(value)}: expected one of ` +
          choices.join(", "),
      );
    }
  }
  return { positionals, options, terminal };
}

/** Marks a negative number: no argument of a process can have this character. */
const NEGATIVE = "\0";

function unmark(text: string): string {
  return text.startsWith(NEGATIVE) ? text.slice(NEGATIVE.length) : text;
}

function parse(command: CommandSpec, args: readonly string[]) {
  const options = Object.fromEntries(
    Object.entries(command.options).map(([name, { type, short }]) => [
      name,
      short === undefined ? { type } : { type, short },
    ]),
  );
  try {
    const { positionals, values } = parseArgs({
      // A negative number is a value, no option: there is none of digits.
      args: args.map((arg) => /^-\.?\d/.test(arg) ? NEGATIVE + arg : arg),
      options,
      allowPositionals: true,
    });
    const given = Object.entries(values).map(([name, value]) => [
      name,
      typeof value === "string" ? unmark(value) : value,
    ]);
    return {
      positionals: positionals.map(unmark),
      options: Object.fromEntries(given) as Input["options"],
    };
  } catch (error) {
    // "Unknown option '--foo'. To specify ...": the first sentence is enough.
    const [first] = (error as Error).message.split(/\.[ \n]/);
    const ambiguous = /^Option '(.*)' argument is ambiguous$/.exec(first);
    throw new UsageError(
      ambiguous === null
        ? first
        : `${ambiguous[1]} has no value: write one that begins with - as ` +
          `${ambiguous[1].split(" ").at(-1)}=-...`,
    );
  }
}

/** A whole number from an option, within its bounds. */
export function integerOption(
  input: Input,
  name: string,
  { min, max }: { min: number; max: number },
): number | undefined {
  const value = input.options[name];
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!/^\d+$/.test(String(value)) || number < min || number > max) {
    throw new UsageError(
      `--${name} is ${JSON.stringify(value)}: expected a whole number from ` +
        `${min} to ${max}`,
    );
  }
  return number;
}

/** A text option. */
export function textOption(input: Input, name: string): string | undefined {
  const value = input.options[name];
  return typeof value === "string" ? value : undefined;
}

/** The option that every command which waits has. */
export const TIMEOUT: OptionSpec = {
  type: "string",
  short: "t",
  value: "MS",
  help: "give up connecting after so many milliseconds (10000)",
};

/** The option of what shows bytes on a terminal. */
export const RAW: OptionSpec = {
  type: "boolean",
  help: "let bytes drive this terminal, instead of escaping what would",
};

/** The option of what connects to `tls:`. */
export const CA: OptionSpec = {
  type: "string",
  value: "FILE",
  help: "certificates to trust besides the system's, for tls:, PEM",
};

/** The option of what connects once. */
export const RETRY: OptionSpec = {
  type: "boolean",
  short: "r",
  help: "try again, until the server is there or --timeout is over",
};

/** {@linkcode TIMEOUT} as it was given. */
export function timeoutOption(input: Input): number {
  return integerOption(input, "timeout", { min: 1, max: 2 ** 31 - 1 }) ??
    10_000;
}
