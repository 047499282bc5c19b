import { describe } from "../_async/check.ts";
import { FrameError } from "./frame_error.ts";
import type { StandardIssue, StandardResult, Validator } from "./validator.ts";

/** Returns the message that may pass, or throws why it may not. */
export type Check<T> = (message: unknown) => T | Promise<T>;

/** Makes one function of a predicate or a schema. */
export function createCheck<T>(
  validator: Validator<T>,
  direction: "received" | "sent",
): Check<T> {
  const refuse = (why: string): never => {
    throw new FrameError(
      `Invalid message: the message ${direction} ${why}`,
      { code: "invalid" },
    );
  };
  if (typeof validator === "function") {
    const judge = (passes: boolean, message: unknown): T =>
      passes ? message as T : refuse("fails the predicate");
    return (message) => {
      const passes = validator(message);
      return passes instanceof Promise
        ? passes.then((value) => judge(value, message))
        : judge(passes, message);
    };
  }
  const schema = validator?.["~standard"];
  if (typeof schema?.validate !== "function") {
    throw new TypeError(
      "Invalid validate option: expected a predicate or a Standard Schema, " +
        `received ${describe(validator)}`,
    );
  }
  const judge = (result: StandardResult<T>): T =>
    result.issues === undefined
      ? result.value
      : refuse(`has ${describeIssues(result.issues)}`);
  return (message) => {
    const result = schema.validate(message);
    return result instanceof Promise ? result.then(judge) : judge(result);
  };
}

function describeIssues(issues: readonly StandardIssue[]): string {
  const [first] = issues;
  const count = issues.length === 1 ? "an issue" : `${issues.length} issues`;
  if (first === undefined) return "issues";
  const path = first.path?.map((part) =>
    String(typeof part === "object" ? part.key : part)
  ).join(".");
  return `${count}: ${path ? `at ${path}, ` : ""}${first.message}`;
}
