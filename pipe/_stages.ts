// What a pipeline is made of, checked and in one form.

import { describe } from "../_async/check.ts";
import { show } from "./_command.ts";
import type {
  CommandStage,
  Stage,
  StageFunction,
  StageStreams,
} from "./options.ts";

/** A stage after the check. */
export type CheckedStage =
  | { kind: "command"; name: string; options: CommandStage }
  | { kind: "javascript"; name: string; run: StageFunction | StageStreams };

/** Checks one stage, or throws a `TypeError` that names it. */
export function checkStage(stage: Stage, index: number): CheckedStage {
  if (Array.isArray(stage)) {
    return checkCommand({ command: stage as readonly string[] }, index);
  }
  if (typeof stage === "function") {
    return { kind: "javascript", name: stage.name || "function", run: stage };
  }
  if (typeof stage === "object" && stage !== null) {
    if ("command" in stage && Array.isArray(stage.command)) {
      return checkCommand(stage, index);
    }
    if (
      "readable" in stage && stage.readable instanceof ReadableStream &&
      stage.writable instanceof WritableStream
    ) {
      const name = stage.constructor?.name ?? "streams";
      return { kind: "javascript", name, run: stage };
    }
  }
  throw new TypeError(
    `Invalid stage ${index} of the pipeline: expected an array of strings, ` +
      `{ command }, a function or a pair of streams, received ${
        describe(stage)
      }${asArray(stage)}`,
  );
}

/** Checks what `spawn` starts: there is no shell to take a line apart. */
export function checkProgram(command: unknown): void {
  if (Array.isArray(command)) return;
  throw new TypeError(
    `Invalid command: expected an array of strings, received ${
      describe(command)
    }${asArray(command)}`,
  );
}

/** A command line as the array that was meant. */
function asArray(line: unknown): string {
  if (typeof line !== "string" || line.length > 80) return "";
  const words = line.split(/\s+/).filter((word) => word !== "");
  return words.length === 0 ? "" : `, write ["${words.join('", "')}"]`;
}

function checkCommand(options: CommandStage, index: number): CheckedStage {
  const { command } = options;
  if (command.length === 0 || command[0] === "") {
    throw new TypeError(
      `Invalid stage ${index} of the pipeline: the command is empty`,
    );
  }
  for (const word of command) {
    if (typeof word !== "string" || word.includes("\0")) {
      throw new TypeError(
        `Invalid stage ${index} of the pipeline: expected strings without ` +
          `NUL, received ${describe(word)}`,
      );
    }
  }
  return { kind: "command", name: show(command), options };
}
