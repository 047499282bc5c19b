/**
 * Why a pipeline failed:
 *
 * - `"not-found"`: there is no such program.
 * - `"not-executable"`: the file is there and can't be run.
 * - `"bad-cwd"`: the working directory is missing or no directory.
 * - `"spawn-failed"`: the system refused to start it for another reason.
 * - `"exit-code"`: a stage ended with a code that is no success.
 * - `"signal"`: a stage was killed from outside.
 * - `"timeout"`: it took longer than `timeout`, and was ended.
 * - `"max-output"`: it wrote more than `maxOutput` bytes, and was ended.
 * - `"output-held"`: a program had exited, and another process that it left
 *   kept its output open for longer than `drainTimeout`.
 * - `"output-failed"`: this program's stdout takes no more of what a JavaScript
 *   stage yields; `cause` has the error.
 * - `"stage-failed"`: a JavaScript stage threw; `cause` has the error.
 * - `"input-failed"`: the source of the input threw; `cause` has the error.
 * - `"invalid-utf8"`: the output was read as text and is none.
 * - `"invalid-json"`: the output was read as JSON and is none.
 * - `"aborted"`: the signal aborted; only where nothing is thrown.
 */
export type PipelineErrorCode =
  | "not-found"
  | "not-executable"
  | "bad-cwd"
  | "spawn-failed"
  | "exit-code"
  | "signal"
  | "timeout"
  | "max-output"
  | "output-held"
  | "output-failed"
  | "stage-failed"
  | "input-failed"
  | "invalid-utf8"
  | "invalid-json"
  | "aborted";

/** Why this side ended the processes of a pipeline. */
export type KilledBy =
  | "timeout"
  | "abort"
  | "max-output"
  | "output-held"
  | "failure"
  | "cancel"
  | "kill"
  | "dispose";

/** How one stage of a pipeline ended. */
export interface StageStatus {
  /** The command with its arguments, as a message shows it. */
  readonly command: string;
  /** Whether it is a process or a function of this program. */
  readonly kind: "command" | "javascript";
  /** The process id, where it was started. */
  readonly pid: number | undefined;
  /** The exit code; 128 and the signal's number where one killed it. */
  readonly code: number;
  /** The signal that killed it. */
  readonly signal: Deno.Signal | null;
  /**
   * Whether it counts as a success: a code of `successCodes`, or the end by
   * `SIGPIPE` of a stage whose reader had finished.
   */
  readonly success: boolean;
  /** How long it ran, in milliseconds. */
  readonly duration: number;
  /** The last of what it wrote to stderr, where that was collected or piped. */
  readonly stderr: string;
}

/** What a {@linkcode PipelineError} is made of. */
export interface PipelineErrorOptions extends ErrorOptions {
  /** Why it failed. */
  code: PipelineErrorCode;
  /** The stage that failed, as a message shows it. */
  command: string;
  /** The exit code of that stage. */
  exitCode?: number | null;
  /** The signal that killed that stage. */
  signal?: Deno.Signal | null;
  /** Why this side ended it, where it did. */
  killedBy?: KilledBy | null;
  /** How long the pipeline ran, in milliseconds. */
  duration: number;
  /** The last of what the stage wrote to stderr. */
  stderr?: string;
  /** How each stage ended. */
  stages?: readonly StageStatus[];
}

/**
 * Thrown where a process or a pipeline failed, with what a bug report needs.
 *
 * @example The exit code and the last words
 * ```ts
 * import { pipeline, PipelineError } from "@sluice/ipc/pipe";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const error = await assertRejects(
 *   () => pipeline(["sh", "-c", "echo no such user >&2; exit 3"]).text(),
 *   PipelineError,
 * );
 * assertEquals(error.code, "exit-code");
 * assertEquals(error.exitCode, 3);
 * assertEquals(error.stderr, "no such user\n");
 * ```
 */
export class PipelineError extends Error {
  /** The name of the class. */
  override readonly name = "PipelineError";
  /** Why it failed. */
  readonly code: PipelineErrorCode;
  /** The stage that failed, as a message shows it. */
  readonly command: string;
  /** The exit code of that stage, or `null` where it did not exit. */
  readonly exitCode: number | null;
  /** The signal that killed that stage. */
  readonly signal: Deno.Signal | null;
  /** Why this side ended it, or `null` where it did not. */
  readonly killedBy: KilledBy | null;
  /** How long the pipeline ran, in milliseconds. */
  readonly duration: number;
  /** The last of what that stage wrote to stderr. */
  readonly stderr: string;
  /** How each stage ended. */
  readonly stages: readonly StageStatus[];

  /**
   * Creates the error.
   *
   * @param message What failed first, then why.
   * @param options What it is made of.
   */
  constructor(message: string, options: PipelineErrorOptions) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = options.code;
    this.command = options.command;
    this.exitCode = options.exitCode ?? null;
    this.signal = options.signal ?? null;
    this.killedBy = options.killedBy ?? null;
    this.duration = options.duration;
    this.stderr = options.stderr ?? "";
    this.stages = options.stages ?? [];
  }
}
