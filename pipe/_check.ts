// The options of a pipeline, checked and with their defaults.

import { checkInteger, checkOneOf, describe } from "../_async/check.ts";
import { checkTimeout } from "../_async/wait.ts";
import { checkInput } from "./_source.ts";
import type { CommandOptions, PipelineOptions } from "./options.ts";

const STDERR_MODES = ["collect", "inherit", "merge", "piped", "null"] as const;

/** The options that always have a value. */
export type CheckedOptions =
  & PipelineOptions
  & Required<
    Pick<
      PipelineOptions,
      | "stdout"
      | "maxOutput"
      | "timeout"
      | "killSignal"
      | "killTimeout"
      | "drainTimeout"
      | "throwOnFailure"
      | "pipefail"
      | "connection"
    >
  >;

/** Checks the options and fills in the defaults. */
export function checkOptions(options: PipelineOptions): CheckedOptions {
  const checked: CheckedOptions = {
    ...options,
    stdout: options.stdout ?? "piped",
    maxOutput: options.maxOutput ?? 16 * 1024 * 1024,
    timeout: options.timeout ?? Infinity,
    killSignal: options.killSignal ?? "SIGTERM",
    killTimeout: options.killTimeout ?? 2_000,
    drainTimeout: options.drainTimeout ?? 1_000,
    throwOnFailure: options.throwOnFailure ?? true,
    pipefail: options.pipefail ?? true,
    connection: options.connection ?? "auto",
  };
  checkOneOf("stdout", checked.stdout, ["piped", "inherit", "null"]);
  checkOneOf("connection", checked.connection, [
    "auto",
    "descriptors",
    "streams",
  ]);
  if (checked.maxOutput !== Infinity) {
    checkInteger("maxOutput", checked.maxOutput, 0);
  }
  checkSignal("killSignal", checked.killSignal);
  checkTimeout("timeout", checked.timeout);
  checkTimeout("killTimeout", checked.killTimeout);
  checkTimeout("drainTimeout", checked.drainTimeout);
  if (checked.pipeCapacity !== undefined) {
    checkInteger("pipeCapacity", checked.pipeCapacity, 1, 2 ** 31);
  }
  const { stdin } = checked;
  if (isPlace(stdin)) {
    checkOneOf("stdin.from", stdin.from, ["null", "inherit", "piped"]);
  } else if (stdin !== undefined) {
    checkInput("Cannot write the input", stdin);
  }
  checkCommandOptions(checked);
  return checked;
}

/** Throws unless `signal` is named as the system names signals. */
export function checkSignal(name: string, signal: Deno.Signal): void {
  if (/^SIG[A-Z][A-Z0-9]+$/.test(signal)) return;
  throw new TypeError(
    `Invalid ${name}: expected a signal such as "SIGTERM", received ${
      describe(signal)
    }`,
  );
}

/** Whether the option names where stdin comes from, and is no source. */
export function isPlace(
  stdin: PipelineOptions["stdin"],
): stdin is { from: "null" | "inherit" | "piped" } {
  return typeof stdin === "object" && stdin !== null && "from" in stdin;
}

/** Checks what a stage may have for itself. */
export function checkCommandOptions(options: CommandOptions): void {
  if (options.stderr !== undefined) {
    checkOneOf("stderr", options.stderr, STDERR_MODES);
  }
  if (options.maxStderr !== undefined) {
    checkInteger("maxStderr", options.maxStderr, 0);
  }
  for (const [name, value] of Object.entries(options.env ?? {})) {
    if (typeof value !== "string") {
      throw new TypeError(
        `Invalid env: expected ${name} to be a string, received ${
          describe(value)
        }`,
      );
    }
  }
  for (const code of options.successCodes ?? []) {
    checkInteger("successCodes", code, 0, 2 ** 32 - 1);
  }
}
