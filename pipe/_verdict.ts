// What to think of how a pipeline ended.

import { type KilledBy, PipelineError, type StageStatus } from "./errors.ts";
import { shellFailure } from "./_command.ts";
import type { Failure } from "./_failures.ts";
import type { StageRun } from "./_stage_run.ts";
import type { PipelineResult } from "./options.ts";

/** All that counts. */
export interface Course {
  stages: readonly StageRun[];
  pipefail: boolean;
  /** When it started, on the clock of `performance.now()`. */
  started: number;
  failure: Failure | undefined;
  killedBy: KilledBy | null;
  /** The signal that the user sent last. */
  sent: Deno.Signal | undefined;
  /** Why the signal of the options aborted. */
  abortReason: unknown;
}

/** Settles the stages' statuses and says how the whole ended. */
export function judge(course: Course): PipelineResult {
  const { stages, pipefail, sent } = course;
  let { killedBy, failure } = course;
  const last = stages.length - 1;
  const statuses = stages.map((stage, index) => {
    const { code, signal } = stage.end ?? { code: 1, signal: null };
    // Killed by SIGPIPE, or told so by a shell in between.
    const unread = index < last &&
      (signal === "SIGPIPE" || (signal === null && code === 141));
    const good = signal === null && stage.options.successCodes.includes(code);
    return stage.settle(good || unread || killedBy === "cancel");
  });
  const failing = statuses.findLastIndex(({ success }, index) =>
    !success && (pipefail || index === last)
  );
  if (failing >= 0 && statuses[failing].signal === sent) {
    killedBy ??= "kill";
  }
  if (failure === undefined && killedBy === "abort") {
    failure = {
      code: "aborted",
      why: "the signal aborted",
      stage: stages[Math.max(0, failing)],
      cause: course.abortReason,
    };
  }
  if (failure === undefined && stages[failing]?.end !== undefined) {
    failure = explainEnd(stages[failing]);
  }
  const shown = statuses[failing >= 0 ? failing : last];
  return {
    success: failure === undefined,
    code: shown.code,
    signal: shown.signal,
    killedBy,
    duration: performance.now() - course.started,
    stages: statuses,
    error: failure === undefined
      ? null
      : toError(failure, { ...course, killedBy }, statuses),
  };
}

/** The error that tells of `failure`. */
export function toError(
  { code, why, stage, cause }: Failure,
  { started, killedBy }: Pick<Course, "started" | "killedBy">,
  stages: readonly StageStatus[],
): PipelineError {
  const duration = performance.now() - started;
  const stderr = stage.stderrTail;
  const words = stderr.trim().split("\n").slice(-5).join("\n").slice(-500);
  return new PipelineError(
    `Cannot finish ${stage.command}: ${why}` +
      (words === "" ? "" : `, its stderr ends with ${JSON.stringify(words)}`),
    {
      code,
      command: stage.command,
      exitCode: stage.end?.signal === null && stage.child
        ? stage.end.code
        : null,
      signal: stage.end?.signal,
      killedBy,
      duration,
      stderr,
      stages,
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

function explainEnd(stage: StageRun): Failure {
  const { code, signal } = stage.end!;
  if (signal !== null) {
    return { code: "signal", why: `it was killed by ${signal}`, stage };
  }
  return {
    code: "exit-code",
    why: `it exited with code ${code}`,
    ...(stage.byShell ? shellFailure(code) : undefined),
    stage,
  };
}
