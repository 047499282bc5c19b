// A command as a stage: what comes before it becomes its stdin, its stdout what
// goes on.

import { setChildPipeCapacity } from "../_libc/pipe.ts";
import { ChildOutput } from "./_child_output.ts";
import { mergingCommand, startCommand, type Stdio } from "./_command.ts";
import { failedInput, heldOutput, tooMuch } from "./_failures.ts";
import type { Host } from "./_host.ts";
import type { KernelPipe } from "./_kernel_pipe.ts";
import { type Link, stderrOf, stdinOf } from "./_links.ts";
import { openPipe } from "./_open_pipe.ts";
import { pump } from "./_pump.ts";
import { mergeSources, type Source } from "./_source.ts";
import type { StageRun } from "./_stage_run.ts";
import type { CheckedStage } from "./_stages.ts";
import { userInput } from "./_user_input.ts";
import { watchWriter } from "./_watch_writer.ts";
import type { StderrMode } from "./options.ts";

/** Where a command stands. */
export interface CommandPlace {
  stage: StageRun;
  /** The kind of the stage after it, if it is not the last. */
  next: CheckedStage["kind"] | undefined;
}

/** A child and where its streams go. */
interface Started {
  child: Deno.ChildProcess;
  stdout: Stdio;
  /** The pipe to the next command, of which the reading end is left. */
  pipe: KernelPipe | undefined;
  /** Whether stderr comes here as well, to be merged with stdout. */
  mergesHere: boolean;
}

/** Starts it between `link` and what it returns. Takes what `link` holds. */
export function startCommandStage(
  plan: CheckedStage & { kind: "command" },
  link: Link,
  place: CommandPlace,
  host: Host,
): Link {
  const { stage } = place;
  const mode = plan.options.stderr ?? host.options.stderr ?? "collect";
  const started = start(plan, mode, link, place, host);
  const { child } = started;
  stage.attach(child);
  if (mode === "collect" || mode === "piped") {
    const { maxOutput } = host.options;
    stage.readStderr(
      mode,
      maxOutput,
      () => host.fail(tooMuch(stage, "stderr", maxOutput)),
    );
  }
  takeInput(link, child, stage, host);
  const next = giveOutput(started, place, host);
  try {
    setCapacity(started, link, host);
  } catch (error) {
    if (next.from === "pipe") drop(next.pipe);
    if (next.from === "source") next.source.cancel();
    throw error;
  }
  return next;
}

/** Where nobody is going to read it. */
function drop(pipe: KernelPipe): void {
  pipe.closeRead();
  pipe.release();
}

/** The pipe to the command that comes next, where the kernel connects them. */
function pipeToNext(
  { stage, next }: CommandPlace,
  host: Host,
): KernelPipe | undefined {
  if (host.connection !== "descriptors" || next !== "command") return undefined;
  return openPipe(
    host.options.pipeCapacity,
    (task) => stage.tasks.push(task),
  );
}

function start(
  { options }: CheckedStage & { kind: "command" },
  mode: StderrMode,
  link: Link,
  place: CommandPlace,
  host: Host,
): Started {
  const { stage, next } = place;
  const { options: common } = host;
  let pipe: KernelPipe | undefined;
  let started = false;
  try {
    pipe = pipeToNext(place, host);
    const stdout = pipe?.write ?? (next ? "piped" : common.stdout);
    const merging = mode === "merge" && stdout === "piped"
      ? mergingCommand(options.command)
      : undefined;
    stage.byShell = merging !== undefined;
    const child = startCommand({
      command: merging ?? options.command,
      cwd: options.cwd ?? common.cwd,
      env: { ...common.env, ...options.env },
      clearEnv: options.clearEnv ?? common.clearEnv,
      stdin: stdinOf(link),
      stdout,
      // Of a shell that merges, until it does: nothing.
      stderrTo: merging ? "null" : stderrOf(mode, stdout),
      group: stage.options.group,
    });
    const mergesHere = mode === "merge" && stdout === "piped" && !merging;
    started = true;
    return { child, stdout, pipe, mergesHere };
  } finally {
    pipe?.closeWrite();
    if (!started && pipe) drop(pipe);
    if (link.from === "pipe") {
      link.pipe.closeRead();
      if (!started) link.pipe.release();
    }
  }
}

/** Connects its stdin with what comes before it. */
function takeInput(
  link: Link,
  child: Deno.ChildProcess,
  stage: StageRun,
  host: Host,
): void {
  if (link.from === "pipe") {
    stage.ended.then(() => link.pipe.release());
    watchWriter(link, { pid: child.pid, stage }, host);
  } else if (link.from === "piped") {
    host.input = userInput(child.stdin, stage, host);
  } else if (link.from === "source") {
    const { source, input } = link;
    if (input) stage.ended.then(() => source.cancel());
    stage.tasks.push(
      pump(source, child.stdin).catch((cause) =>
        host.fail(failedInput(stage, cause))
      ),
    );
  }
}

/** What its stdout is for who comes next. */
function giveOutput(
  { child, stdout, pipe, mergesHere }: Started,
  { stage, next }: CommandPlace,
  host: Host,
): Link {
  const { options } = host;
  if (pipe) return { from: "pipe", pipe, writer: stage };
  if (stdout !== "piped") return { from: "null" };
  const output = stage.output = new ChildOutput(child.stdout, {
    capacity: options.pipeCapacity,
    reuse: next === "command" && !mergesHere,
    onHeld() {
      stage.signal("SIGKILL"); // the group outlives its leader
      host.fail(heldOutput(stage, options.drainTimeout));
    },
  });
  let source: Source = output;
  if (mergesHere) {
    const errors = new ChildOutput(child.stderr, { onHeld() {} });
    stage.ended.then(() => errors.exited(options.drainTimeout));
    source = mergeSources(output, errors);
  }
  return { from: "source", source, input: false };
}

/** The pipes that the runtime made hold as much as those made here. */
function setCapacity(
  { child: { pid }, stdout }: Started,
  link: Link,
  { options: { pipeCapacity } }: Host,
): void {
  if (pipeCapacity === undefined) return;
  if (link.from === "source") setChildPipeCapacity(pid, 0, pipeCapacity);
  if (stdout === "piped") setChildPipeCapacity(pid, 1, pipeCapacity);
}
