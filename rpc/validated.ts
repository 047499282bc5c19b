import type { Context } from "./context.ts";
import { checkFunction, describe } from "../_async/check.ts";
import { RpcError } from "./errors.ts";

/**
 * A Standard Schema of a handler's arguments, taken as one array: what Zod,
 * Valibot, ArkType and others implement. See https://standardschema.dev.
 */
export interface ArgumentsSchema<Input = unknown, Output = Input> {
  /** Version 1 of the specification. */
  readonly "~standard": {
    /** The version of the specification. */
    readonly version: 1;
    /** The library. */
    readonly vendor: string;
    /** Checks a value: `{ value }`, or `{ issues }` where it doesn't fit. */
    readonly validate: (
      value: unknown,
    ) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    /** Holds the types; there is no such value. */
    readonly types?: {
      /** What goes in. */
      readonly input: Input;
      /** What comes out. */
      readonly output: Output;
    } | undefined;
  };
}

/** What a {@linkcode ArgumentsSchema} says of a value. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** One thing that is wrong with a value. */
export interface SchemaIssue {
  /** What is wrong. */
  readonly message: string;
  /** Where. */
  readonly path?:
    | readonly (PropertyKey | { readonly key: PropertyKey })[]
    | undefined;
}

/**
 * A handler whose arguments are checked before it runs. What doesn't fit never
 * reaches it: the caller gets an {@linkcode RpcError} with the code
 * `"invalid-params"` and the issues as `data`.
 *
 * @example Arguments from a hostile peer
 * ```ts
 * import { type ArgumentsSchema, validated } from "@sluice/ipc/rpc";
 *
 * // Any Standard Schema does, such as Zod's `z.tuple([z.number()])`.
 * const oneNumber: ArgumentsSchema<[n: number]> = {
 *   "~standard": {
 *     version: 1,
 *     vendor: "example",
 *     validate: (value) =>
 *       Array.isArray(value) && typeof value[0] === "number"
 *         ? { value: [value[0]] }
 *         : { issues: [{ message: "Expected a number", path: [0] }] },
 *   },
 * };
 * const handlers = { double: validated(oneNumber, (n) => 2 * n) };
 * if (typeof handlers.double !== "function") throw new Error("No handler");
 * ```
 *
 * @typeParam I The arguments that a caller passes.
 * @typeParam O The arguments as the schema gives them to the handler.
 * @typeParam R What the handler returns.
 * @param schema Checks the arguments as one array.
 * @param handler Runs with the schema's output; `this` is the context.
 * @returns The handler to list.
 */
export function validated<I extends unknown[], O extends unknown[], R>(
  schema: ArgumentsSchema<I, O>,
  handler: (this: Context, ...args: O) => R,
): (this: Context, ...args: I) => Promise<Awaited<R>> {
  if (typeof Object(schema)["~standard"]?.validate !== "function") {
    throw new TypeError(
      `Invalid schema: expected a Standard Schema, received ${
        describe(schema)
      }`,
    );
  }
  checkFunction("handler", handler);
  return async function (this: Context, ...args: I): Promise<Awaited<R>> {
    const result = await schema["~standard"].validate(args);
    if (result.issues === undefined) {
      return await handler.apply(this, result.value);
    }
    const issues = result.issues.map(({ message, path }) => ({
      message,
      path: path?.map((part) =>
        String(typeof part === "object" ? part.key : part)
      ),
    }));
    throw new RpcError(
      `Invalid arguments of ${this.method}: ` +
        issues.map((issue) => issue.message).join("; "),
      { code: "invalid-params", data: issues },
    );
  };
}
