// A pipeline while it runs: starts the stages in order, ends them, and has it
// judged how they ended.

import { BufferedSource } from "./_buffered.ts";
import { type CheckedOptions, isPlace } from "./_check.ts";
import { StartFailure } from "./_command.ts";
import { startCommandStage } from "./_command_stage.ts";
import { failedOutput, type Failure, tooLong, tooMuch } from "./_failures.ts";
import { startFunctionStage } from "./_function_stage.ts";
import type { Host } from "./_host.ts";
import { checkDescriptors, passesDescriptors } from "./_open_pipe.ts";
import { checkCapacity, type Link } from "./_links.ts";
import { passOn } from "./_own_output.ts";
import { type Source, sourceOf } from "./_source.ts";
import { StageRun } from "./_stage_run.ts";
import type { CheckedStage } from "./_stages.ts";
import { judge, toError } from "./_verdict.ts";
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
export class Run implements Host {
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
    const { connection } = options;
    const joins = connection === "auto"
      ? passesDescriptors()
      : connection === "descriptors";
    this.connection = joins ? "descriptors" : "streams";
    const inherits = isPlace(options.stdin) && options.stdin.from === "inherit";
    this.stages = plan.map((stage) => {
      const own = stage.kind === "command" ? stage.options : options;
      const run = new StageRun(stage.kind, stage.name, {
        successCodes: own.successCodes ?? options.successCodes ?? [0],
        maxStderr: own.maxStderr ?? options.maxStderr ?? MAX_STDERR,
        group: !inherits && (options.group ?? true),
        onWait: () => this.readAhead(),
      });
      run.ended.then(() => this.#drain(run));
      return run;
    });
    if (options.signal?.aborted) this.#onAbort();
    else {
      options.signal?.addEventListener("abort", this.#onAbort, { once: true });
      this.#start();
    }
    this.finished = this.#finish();
  }

  #start(): void {
    const { options } = this;
    let link: Link = { from: "null" };
    let index = 0;
    try {
      if (options.pipeCapacity !== undefined) {
        checkCapacity(options.pipeCapacity);
      }
      if (options.connection === "descriptors" && this.#hasNeighbours()) {
        checkDescriptors();
      }
      link = this.#openInput();
      for (; index < this.#plan.length; index++) {
        link = this.#startStage(index, link);
      }
    } catch (error) {
      if (link.from === "source") link.source.cancel();
      this.#explainStart(error, this.stages[index]);
      return;
    }
    if (link.from === "source" && options.stdout !== "piped") {
      this.#last.tasks.push(
        passOn(link.source, options.stdout).catch((cause) =>
          this.fail(failedOutput(this.#last, cause))
        ),
      );
    } else if (link.from === "source") {
      const { maxOutput } = options;
      this.output = new BufferedSource(link.source, {
        limit: maxOutput,
        onFull: () => this.fail(tooMuch(this.#last, "output", maxOutput)),
      });
    }
    const { timeout } = options;
    if (timeout < 2 ** 31) {
      this.later(timeout, () => {
        const running = this.stages.findLast(({ end }) => end === undefined);
        this.fail(tooLong(running ?? this.#last, timeout));
      });
    }
  }

  /** Whether a command comes right after another. */
  #hasNeighbours(): boolean {
    return this.#plan.some(({ kind }, index) =>
      kind === "command" && this.#plan[index + 1]?.kind === "command"
    );
  }

  /** What the first stage reads. */
  #openInput(): Link {
    const { stdin } = this.options;
    if (stdin === undefined) return { from: "null" };
    if (isPlace(stdin)) return stdin;
    const source = sourceOf("Cannot write the input", stdin);
    this.#ownSources.push(source);
    return { from: "source", source, input: true };
  }

  #startStage(index: number, link: Link): Link {
    const plan = this.#plan[index];
    const stage = this.stages[index];
    if (plan.kind === "command") {
      const next = this.#plan[index + 1]?.kind;
      return startCommandStage(plan, link, { stage, next }, this);
    }
    const source = startFunctionStage(plan, link, { stage, index }, this);
    this.#ownSources.push(source);
    return { from: "source", source, input: true };
  }

  #explainStart(error: unknown, stage: StageRun): void {
    if (error instanceof StartFailure) {
      const { code, why, cause } = error;
      return this.fail({ code, why, stage, cause });
    }
    this.mistake = { error };
    this.end("failure");
  }

  get #last(): StageRun {
    return this.stages[this.stages.length - 1];
  }

  /** Whether its processes are being ended. */
  get ending(): boolean {
    return this.#killedBy !== null;
  }

  get failure(): Failure | undefined {
    return this.#failure;
  }

  /** Ends what still runs: a signal to every group, later `SIGKILL`. */
  end(by: KilledBy, signal: Deno.Signal = this.options.killSignal): void {
    if (this.ending || this.#over) return;
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
  fail(failure: Failure): void {
    if (this.ending || this.#over) return;
    this.#failure ??= failure;
    this.end(failure.by ?? "failure");
  }

  /** The same for what the reader of the output found. */
  failOutput(code: PipelineErrorCode, why: string, cause?: unknown): void {
    const by = code === "max-output" ? "max-output" : "failure";
    this.fail({ code, why, stage: this.#last, cause, by });
  }

  /** The error for what the reader found after the end. */
  error(
    code: PipelineErrorCode,
    why: string,
    cause: unknown,
    stages: readonly StageStatus[],
  ): PipelineError {
    return toError(
      { code, why, stage: this.#last, cause },
      { started: this.#started, killedBy: this.#killedBy },
      stages,
    );
  }

  /** The reader wants no more. */
  cancelOutput(): void {
    this.output?.cancel();
    this.end("cancel");
  }

  #onAbort = () => this.end("abort");

  /** What still reads the output of a stage that has ended waits only so long. */
  #drain(stage: StageRun): void {
    stage.hurry(
      this.ending ? KILLED_DRAIN_TIMEOUT : this.options.drainTimeout,
    );
  }

  readAhead(): void {
    this.output?.eager();
  }

  later(milliseconds: number, act: () => void): void {
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
      !this.ending;
    if (!started) {
      for (const stage of running) {
        if (stage.kind === "javascript") {
          stage.finish({ code: 1, signal: null });
        }
      }
    }
    await Promise.all(running.map(({ ended }) => ended));
    await this.output?.done;
    await Promise.all(this.stages.flatMap(({ tasks }) => tasks));
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
