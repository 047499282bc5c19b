// The command line: finds the command, runs it, turns its end into an exit code.

import config from "../deno.json" with { type: "json" };
import { schemes } from "../address.ts";
import { benchCommand } from "./_bench.ts";
import { chooseCommand } from "./_choose.ts";
import { type CommandSpec, parseInput, UsageError } from "./_command.ts";
import { completionsCommand } from "./_completions.ts";
import { connectCommand } from "./_connect.ts";
import { messageOf } from "./_errors.ts";
import { commandHelp, overview } from "./_help.ts";
import { listenCommand } from "./_listen.ts";
import { callCommand, describeCommand } from "./_rpc.ts";
import { shmCommand } from "./_shm.ts";
import { tapCommand } from "./_tap.ts";
import {
  InterruptedError,
  openTerminal,
  OutputClosedError,
  type Terminal,
} from "./_terminal.ts";

const COMMANDS: readonly CommandSpec[] = [
  listenCommand,
  connectCommand,
  callCommand,
  describeCommand,
  tapCommand,
  benchCommand,
  chooseCommand,
  shmCommand,
  completionsCommand(() => COMMANDS),
];

/** Runs the command line; gives the exit code. Does not exit by itself. */
export async function main(args: readonly string[]): Promise<number> {
  using terminal = openTerminal();
  const [name, ...rest] = args;
  const command = COMMANDS.find((command) => command.name === name);
  try {
    if (command === undefined) return general(args, terminal);
    if (asksForHelp(rest)) {
      terminal.print(commandHelp(command));
      return 0;
    }
    await command.run(parseInput(command, rest, terminal));
    return 0;
  } catch (error) {
    return exitCode(error, command, terminal);
  }
}

/** Whether help is asked for, anywhere before `--`. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  const options = end < 0 ? args : args.slice(0, end);
  return options.includes("--help") || options.includes("-h");
}

/** What stands in no command: help, the version, or a mistake. */
function general([name, topic]: readonly string[], terminal: Terminal): number {
  if (name === "--version" || name === "-V") {
    terminal.print(`sluice ${config.version}`);
    return 0;
  }
  const asked = ["help", "--help", "-h"].includes(name);
  if (asked && topic !== undefined) {
    const command = COMMANDS.find((command) => command.name === topic);
    if (command === undefined) throw unknown(topic);
    terminal.print(commandHelp(command));
    return 0;
  }
  if (name !== undefined && !asked) throw unknown(name);
  const text = overview(COMMANDS, schemes());
  if (asked) terminal.print(text);
  else terminal.note(text);
  return asked ? 0 : 2;
}

function unknown(name: string): UsageError {
  const known = COMMANDS.map(({ name }) => name).join(", ");
  return new UsageError(
    `unknown command ${JSON.stringify(name)}: expected ${known}`,
  );
}

function exitCode(
  error: unknown,
  command: CommandSpec | undefined,
  terminal: Terminal,
): number {
  if (error instanceof OutputClosedError) return 0; // as after `| head -1`
  const interrupted = terminal.signal.aborted
    ? terminal.signal.reason
    : undefined;
  if (interrupted instanceof InterruptedError) return interrupted.exitCode;
  const where = command === undefined ? "sluice" : `sluice ${command.name}`;
  try {
    terminal.note(`${where}: ${messageOf(error)}`);
    if (error instanceof UsageError || isBadAddress(error)) {
      terminal.note(`Try: sluice help${command ? ` ${command.name}` : ""}`);
      return 2;
    }
  } catch { // standard error is closed too
  }
  return 1;
}

/** The root's `connect` and `listen` refuse an address with a TypeError. */
function isBadAddress(error: unknown): boolean {
  return error instanceof TypeError && /address|expected/.test(error.message);
}
