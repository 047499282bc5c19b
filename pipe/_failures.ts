// What can go wrong on this side while a pipeline runs, in words.

import { timeoutError } from "../_async/wait.ts";
import type { StageRun } from "./_stage_run.ts";
import type { KilledBy, PipelineErrorCode } from "./errors.ts";

/** The first thing that went wrong on this side. */
export interface Failure {
  code: PipelineErrorCode;
  why: string;
  stage: StageRun;
  cause?: unknown;
  /** What the processes are ended by; `"failure"` where nothing is said. */
  by?: KilledBy;
}

/** The pipeline took longer than it may. */
export function tooLong(stage: StageRun, timeout: number): Failure {
  return {
    code: "timeout",
    why: `it took longer than ${timeout} ms`,
    stage,
    cause: timeoutError("Cannot finish the pipeline", timeout),
    by: "timeout",
  };
}

/** Nobody reads what a stage writes, and there is no more room. */
export function tooMuch(
  stage: StageRun,
  what: "output" | "stderr",
  maxOutput: number,
): Failure {
  return {
    code: "max-output",
    why: `its ${what} exceeds maxOutput ${maxOutput}`,
    stage,
    by: "max-output",
  };
}

/** A process that a stage left keeps its output open, and says nothing. */
export function heldOutput(stage: StageRun, drainTimeout: number): Failure {
  return {
    code: "output-held",
    why: `it exited with ${stage.end?.code}, and a process that it left ` +
      `kept its output open for more than ${drainTimeout} ms`,
    stage,
    by: "output-held",
  };
}

/** What a stage reads threw. */
export function failedInput(stage: StageRun, cause: unknown): Failure {
  return {
    code: "input-failed",
    why: `its input threw ${String(cause)}`,
    stage,
    cause,
  };
}

/** This program's stdout takes no more. */
export function failedOutput(stage: StageRun, cause: unknown): Failure {
  return {
    code: "output-failed",
    why: `its output could not be written: ${String(cause)}`,
    stage,
    cause,
  };
}

/** A function, or the streams, of a stage threw. */
export function failedStage(stage: StageRun, cause: unknown): Failure {
  return {
    code: "stage-failed",
    why: `it threw ${String(cause)}`,
    stage,
    cause,
  };
}
