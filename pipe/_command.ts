// Starts one program, and says what is wrong where that fails.

import { killGroup } from "../_libc/group.ts";
import { sessionCommand } from "./_session.ts";
import type { PipelineErrorCode } from "./errors.ts";
import type { CommandOptions } from "./options.ts";

/** What a child has as one of its three streams: a number is a descriptor. */
export type Stdio = "piped" | "inherit" | "null" | number;

/** What {@linkcode startCommand} needs. */
export interface StartOptions extends CommandOptions {
  command: readonly string[];
  stdin: Stdio;
  stdout: Stdio;
  stderrTo: Stdio;
  /** Whether it leads a process group of its own. */
  group: boolean;
}

/** Why a program could not be started. */
export class StartFailure extends Error {
  constructor(
    readonly code: PipelineErrorCode,
    readonly why: string,
    override readonly cause: unknown,
  ) {
    super(why);
  }
}

/** Starts a program. */
export function startCommand(options: StartOptions): Deno.ChildProcess {
  const session = options.group
    ? sessionCommand(options.command, options.env, options.clearEnv)
    : undefined;
  const [program, ...args] = session ?? options.command;
  try {
    return new Deno.Command(program, {
      args,
      cwd: options.cwd,
      env: options.env,
      clearEnv: options.clearEnv,
      stdin: options.stdin,
      stdout: options.stdout,
      stderr: options.stderrTo,
      detached: options.group && session === undefined &&
        Deno.build.os !== "windows",
    } as Deno.CommandOptions).spawn();
  } catch (error) {
    throw explain(error, options);
  }
}

function explain(error: unknown, { command, cwd }: StartOptions): unknown {
  if (!(error instanceof Error)) return error;
  if (error instanceof Deno.errors.NotCapable || error instanceof TypeError) {
    return error;
  }
  const failure = (code: PipelineErrorCode, why: string) =>
    new StartFailure(code, why, error);
  if (/\bcwd\b/.test(error.message) || isNoDirectory(cwd)) {
    return failure("bad-cwd", `its cwd ${cwd} is no directory to run in`);
  }
  if (error instanceof Deno.errors.NotFound) {
    return failure(
      "not-found",
      command[0].includes("/")
        ? "there is no such file, or no interpreter that its first line names"
        : "there is no such program in PATH",
    );
  }
  if (
    error instanceof Deno.errors.PermissionDenied ||
    /os error (8|13)\b/.test(error.message)
  ) {
    return failure("not-executable", "the file can't be executed");
  }
  return failure("spawn-failed", error.message);
}

function isNoDirectory(cwd: string | URL | undefined): boolean {
  if (cwd === undefined) return false;
  try {
    return !Deno.statSync(cwd).isDirectory;
  } catch (error) {
    return error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
  }
}

/** Lets a shell join stderr to stdout, then become the program. */
const MERGE = ["sh", "-c", 'exec "$0" "$@" 2>&1'];

/** The same command with stderr in its stdout, where a shell may do that. */
export function mergingCommand(
  command: readonly string[],
): readonly string[] | undefined {
  if (Deno.build.os === "windows") return undefined;
  const permission = { name: "run", command: MERGE[0] } as const;
  return Deno.permissions.querySync(permission).state === "granted"
    ? [...MERGE, ...command]
    : undefined;
}

/** What a shell's exit code says of the command that it should have become. */
export function shellFailure(
  code: number,
): { code: PipelineErrorCode; why: string } | undefined {
  if (code === 127) {
    return { code: "not-found", why: "there is no such program in PATH" };
  }
  if (code === 126) {
    return { code: "not-executable", why: "the file can't be executed" };
  }
}

/** Sends a signal to a child and all that it started, as far as permitted. */
export function signalChild(
  child: Deno.ChildProcess,
  group: boolean,
  signal: Deno.Signal,
): void {
  if (group && killGroup(child.pid, signal)) return;
  try {
    child.kill(signal);
  } catch { // it has ended
  }
  // It may have led no group yet, and led one by the time of its own signal.
  if (group) killGroup(child.pid, signal);
}

/** A command as a message shows it. */
export function show(command: readonly string[]): string {
  const text = command.map((word) =>
    /^[\w./:=@%+,~-]+$/.test(word) ? word : JSON.stringify(word)
  ).join(" ");
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
