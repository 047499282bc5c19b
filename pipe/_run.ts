// A pipeline while it runs: starts the stages, connects them, ends them, and
// judges how they ended.

import { timeoutError } from "../_async/wait.ts";
import {
  childStdinState,
  closeDescriptor,
  createPipe,
  type PipeEnds,
  setChildPipeCapacity,
  setPipeCapacity,
} from "../_libc/pipe.ts";
import { BufferedSource } from "./_buffered.ts";
import { type CheckedOptions, isPlace } from "./_check.ts";
import { ChildOutput } from "./_child_output.ts";
import {
  mergingCommand,
  startCommand,
  StartFailure,
  type Stdio,
} from "./_command.ts";
import type { ChildPipes } from "./_ends.ts";
import { startFunction } from "./_function_stage.ts";
import {
  checkCapacity,
  type Link,
  passesDescriptors,
  stderrOf,
  stdinOf,
} from "./_links.ts";
import { pump } from "./_pump.ts";
import { mergeSources, type Source, sourceOf } from "./_source.ts";
import { StageRun } from "./_stage_run.ts";
import { userInput } from "./_user_input.ts";
import { type Failure, judge, toError } from "./_verdict.ts";
import type { CheckedStage } from "./_stages.ts";
import type {
  KilledBy,
  PipelineError,
  PipelineErrorCode,
  StageStatus,
} from "./errors.ts";
import type { PipelineResult } from "./options.ts";

/** The default of `maxStderr`. */
const MAX_STDERR = 64 * 1024;

/** How long held output is waited for once its processes were killed, in ms. */
const KILLED_DRAIN_TIMEOUT = 100;

/** Everything behind a `RunningPipeline` but its readers. */
export class Run {
  readonly connection: "descriptors" | "streams";
  readonly stages: StageRun[];
  readonly options: CheckedOptions;
  /** The output of the last stage, where this program reads it. */
  output: BufferedSource | undefined;
  /** The input of the first stage, where the user writes it. */
  input: WritableStream<Uint8Array> | undefined;
  /** Resolves when everything has ended. Never rejects. */
  readonly finished: Promise<PipelineResult>;
  /** Thrown whatever the options say: a mistake of the caller. */
  mistake: { error: unknown } | undefined;

  readonly #plan: readonly CheckedStage[];
  readonly #started = performance.now();
  #failure: Failure | undefined;
  #killedBy: KilledBy | null = null;
  #over = false;
  #sent: Deno.Signal | undefined;
  #killTimer: ReturnType<typeof setTimeout> | undefined;
  #timers = new Set<ReturnType<typeof setTimeout>>();
  /** Sources that no process feeds: they end with whom they feed. */
  #ownSources: Source[] = [];

  constructor(plan: readonly CheckedStage[], options: CheckedOptions) {
    this.#plan = plan;
    this.options = options;
    const usable = options.connection === "auto" && passesDescriptors();
    this.connection = usable ? "descriptors" : "streams";
    const inherits = isPlace(options.stdin) && options.stdin.from === "inherit";
    this.stages = plan.map((stage) => {
      const own = stage.kind === "command" ? stage.options : options;
      return new StageRun(stage.kind, stage.name, {
        successCodes: own.successCodes ?? options.successCodes ?? [0],
        maxStderr: own.maxStderr ?? options.maxStderr ?? MAX_STDERR,
        group: !inherits && (options.group ?? true),
        onWait: () => this.output?.eager(),
      });
    });
    if (options.signal?.aborted) this.#onAbort();
    else {
      options.signal?.addEventListener("abort", this.#onAbort, { once: true });
      this.#start();
    }
    this.finished = this.#finish();
  }

  /** Ends what still runs: a signal to every group, later `SIGKILL`. */
  end(by: KilledBy, signal: Deno.Signal = this.options.killSignal): void {
    if (this.#killedBy !== null || this.#over) return;
    this.#killedBy = by;
    this.signal(signal);
    for (const source of this.#ownSources) source.cancel();
    this.output?.hurry();
    for (const stage of this.stages) {
      if (stage.end !== undefined) stage.hurry(KILLED_DRAIN_TIMEOUT);
    }
    this.#killTimer = setTimeout(
      () => this.signal("SIGKILL"),
      this.options.killTimeout,
    );
  }

  /** What the user sends: it shows in the result if it ended a stage. */
  kill(signal: Deno.Signal): void {
    this.#sent = signal;
    this.signal(signal);
  }

  /** Sends a signal to the group of every command that runs. */
  signal(signal: Deno.Signal): void {
    for (const stage of this.stages) {
      if (stage.end === undefined) stage.signal(signal);
    }
  }

  /** Notes what went wrong first, and ends the rest. */
  fail(failure: Failure, by: KilledBy = "failure"): void {
    if (this.#killedBy !== null || this.#over) return;
    this.#failure ??= failure;
    this.end(by);
  }

  /** The same for what the reader of the output found. */
  failOutput(code: PipelineErrorCode, why: string, cause?: unknown): void {
    const stage = this.stages[this.stages.length - 1];
    this.fail(
      { code, why, stage, cause },
      code === "max-output" ? "max-output" : "failure",
    );
  }

  /** The error for what the reader found after the end. */
  error(
    code: PipelineErrorCode,
    why: string,
    cause: unknown,
    stages: readonly StageStatus[],
  ): PipelineError {
    const stage = this.stages[this.stages.length - 1];
    return toError(
      { code, why, stage, cause },
      { started: this.#started, killedBy: this.#killedBy },
      stages,
    );
  }

  /** The reader wants no more. */
  cancelOutput(): void {
    this.output?.cancel();
    this.end("cancel");
  }

  /** The pipes between this program and a command that is alone. */
  pipesOfOne(): ChildPipes | undefined {
    const { pid, end } = this.stages[0];
    if (pid === undefined || this.stages.length > 1) return undefined;
    const { stdin, stdout } = this.options;
    const streams: (0 | 1)[] = [];
    if (stdout === "piped") streams.push(1);
    if (isPlace(stdin) ? stdin.from === "piped" : stdin !== undefined) {
      streams.push(0);
    }
    if (streams.length === 0) return undefined;
    return { pid, ended: end !== undefined, streams };
  }

  #onAbort = () => this.end("abort");

  #start(): void {
    const { timeout, stdin } = this.options;
    let link: Link = { from: "null" };
    let index = 0;
    try {
      if (this.options.pipeCapacity !== undefined) {
        checkCapacity(this.options.pipeCapacity);
      }
      if (isPlace(stdin)) link = stdin;
      else if (stdin !== undefined) {
        const source = sourceOf("Cannot write the input", stdin);
        link = { from: "source", source, input: true };
        this.#ownSources.push(source);
      }
      for (; index < this.#plan.length; index++) {
        const stage = this.#plan[index];
        link = stage.kind === "command"
          ? this.#startCommand(index, stage, link)
          : this.#startFunction(index, stage, link);
      }
    } catch (error) {
      if (link.from === "source") link.source.cancel();
      this.#explainStart(error, this.stages[index]);
      return;
    }
    if (link.from === "source") {
      this.output = new BufferedSource(link.source, {
        limit: this.options.maxOutput,
        onFull: () => this.failFull("output", this.stages.length - 1),
      });
    }
    if (timeout < 2 ** 31) {
      this.#later(timeout, () => {
        this.fail({
          code: "timeout",
          why: `it took longer than ${timeout} ms`,
          stage: this.stages.findLast(({ end }) => end === undefined) ??
            this.stages[this.stages.length - 1],
          cause: timeoutError("Cannot finish the pipeline", timeout),
        }, "timeout");
      });
    }
  }

  #explainStart(error: unknown, stage: StageRun): void {
    if (!(error instanceof StartFailure)) {
      this.mistake = { error };
      this.end("failure");
      return;
    }
    this.fail({ code: error.code, why: error.why, stage, cause: error.cause });
  }

  #startCommand(
    index: number,
    { options }: CheckedStage & { kind: "command" },
    link: Link,
  ): Link {
    const stage = this.stages[index];
    const common = this.options;
    const last = index === this.#plan.length - 1;
    const mode = options.stderr ?? common.stderr ?? "collect";
    let stdout: Stdio = last ? common.stdout : "piped";
    let ends: PipeEnds | undefined;
    let { command } = options;
    let errorsTo = mode;
    let child: Deno.ChildProcess;
    try {
      if (
        this.connection === "descriptors" && !last &&
        this.#plan[index + 1].kind === "command"
      ) {
        ends = createPipe("Cannot connect the stages of a pipeline");
        stdout = ends.write;
      }
      if (ends && common.pipeCapacity !== undefined) {
        setPipeCapacity(ends.write, common.pipeCapacity);
      }
      if (mode === "merge" && stdout === "piped") {
        const merging = mergingCommand(command);
        if (merging) {
          command = merging;
          errorsTo = "null"; // until the shell takes it
          stage.byShell = true;
        }
      }
      child = startCommand({
        command,
        cwd: options.cwd ?? common.cwd,
        env: { ...common.env, ...options.env },
        clearEnv: options.clearEnv ?? common.clearEnv,
        stdin: stdinOf(link),
        stdout,
        stderrTo: stderrOf(errorsTo, stdout),
        group: stage.options.group,
      });
    } catch (error) {
      if (ends) closeDescriptor(ends.read);
      throw error;
    } finally {
      if (ends) closeDescriptor(ends.write);
      if (link.from === "descriptor") closeDescriptor(link.fd);
    }
    stage.attach(child);
    stage.ended.then(() => this.#onExit(stage));
    const merged = errorsTo === "merge" && stdout === "piped";
    if (mode === "collect" || mode === "piped") {
      stage.readStderr(
        mode,
        common.maxOutput,
        () => this.failFull("stderr", index),
      );
    }
    if (link.from === "descriptor") {
      this.#watchWriter(link.writer, child.pid, stage);
    }
    if (link.from === "source") {
      this.#feed(link, child.stdin, stage);
    } else if (link.from === "piped") {
      this.input = userInput(
        child.stdin,
        stage,
        () => this.output?.eager(),
      );
    }
    let next: Link = { from: "null" };
    if (ends) next = { from: "descriptor", fd: ends.read, writer: stage };
    else if (stdout === "piped") {
      stage.output = new ChildOutput(child.stdout, {
        capacity: common.pipeCapacity,
        reuse: !last && !merged && this.#plan[index + 1].kind === "command",
        onHeld: () => this.#failHeld(stage),
      });
      let source: Source = stage.output;
      if (merged) {
        const errors = new ChildOutput(child.stderr, { onHeld() {} });
        stage.ended.then(() => errors.exited(common.drainTimeout));
        source = mergeSources(stage.output, errors);
      }
      next = { from: "source", source, input: false };
    }
    try {
      this.#setCapacity(child, link.from === "source", stdout === "piped");
    } catch (error) {
      if (next.from === "descriptor") closeDescriptor(next.fd);
      if (next.from === "source") next.source.cancel();
      throw error;
    }
    return next;
  }

  /** The pipes that the runtime made hold as much as those made here. */
  #setCapacity(
    { pid }: Deno.ChildProcess,
    stdin: boolean,
    stdout: boolean,
  ): void {
    const { pipeCapacity } = this.options;
    if (pipeCapacity === undefined) return;
    if (stdin) setChildPipeCapacity(pid, 0, pipeCapacity);
    if (stdout) setChildPipeCapacity(pid, 1, pipeCapacity);
  }

  #startFunction(
    index: number,
    plan: CheckedStage & { kind: "javascript" },
    link: Link,
  ): Link {
    const source = startFunction(plan, link, {
      stage: this.stages[index],
      index,
      setInput: (writable) => this.input = writable,
      fail: (failure) => this.fail(failure),
    });
    this.#ownSources.push(source);
    return { from: "source", input: true, source };
  }

  /** Feeds a command from this program. */
  #feed(
    { source, input }: Link & { from: "source" },
    stdin: WritableStream<Uint8Array>,
    stage: StageRun,
  ): void {
    if (input) stage.ended.then(() => source.cancel());
    stage.tasks.push(
      pump(source, stdin).catch((cause) =>
        this.fail({
          code: "input-failed",
          why: `its input threw ${String(cause)}`,
          stage,
          cause,
        })
      ),
    );
  }

  #onExit(stage: StageRun): void {
    stage.hurry(
      this.#killedBy === null
        ? this.options.drainTimeout
        : KILLED_DRAIN_TIMEOUT,
    );
  }

  /** Finds out whether a process that `writer` left keeps `reader` waiting. */
  #watchWriter(writer: StageRun, pid: number, reader: StageRun): void {
    const look = () => {
      if (reader.end !== undefined || this.#killedBy !== null) return;
      const state = childStdinState(pid);
      if (state === "silent") this.#failHeld(writer);
      else if (state === "busy") this.#later(this.options.drainTimeout, look);
    };
    writer.ended.then(() => {
      if (this.options.drainTimeout < 2 ** 31) {
        this.#later(this.options.drainTimeout, look);
      }
    });
  }

  #failHeld(stage: StageRun): void {
    stage.signal("SIGKILL"); // the group outlives its leader
    this.fail({
      code: "output-held",
      why: `it exited with ${stage.end?.code}, and a process that it left ` +
        `kept its output open for more than ${this.options.drainTimeout} ms`,
      stage,
    }, "output-held");
  }

  /** Nobody reads, and there is no more room. */
  failFull(what: "output" | "stderr", index: number): void {
    this.fail({
      code: "max-output",
      why: `its ${what} exceeds maxOutput ${this.options.maxOutput}`,
      stage: this.stages[index],
    }, "max-output");
  }

  #later(milliseconds: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, milliseconds);
    this.#timers.add(timer);
  }

  async #finish(): Promise<PipelineResult> {
    const running = this.stages.filter((stage) =>
      stage.child !== undefined || stage.kind === "javascript"
    );
    const started = this.#failure === undefined && !this.mistake &&
      this.#killedBy === null;
    if (!started) {
      for (const stage of running) {
        if (stage.kind === "javascript") {
          stage.finish({ code: 1, signal: null });
        }
      }
    }
    await Promise.all(running.map(({ ended }) => ended));
    await this.output?.done;
    await Promise.all(running.flatMap(({ tasks }) => tasks));
    for (const timer of this.#timers) clearTimeout(timer);
    clearTimeout(this.#killTimer);
    this.options.signal?.removeEventListener("abort", this.#onAbort);
    this.#over = true;
    return judge({
      stages: this.stages,
      pipefail: this.options.pipefail,
      started: this.#started,
      failure: this.#failure,
      killedBy: this.#killedBy,
      sent: this.#sent,
      abortReason: this.options.signal?.reason,
    });
  }
}
