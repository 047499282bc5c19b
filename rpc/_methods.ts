// The handlers as a flat table of names, made once when serving starts.

import { describe } from "../_async/check.ts";
import { RpcError } from "./errors.ts";

/** A handler as the table holds it. */
export type Handler = (this: unknown, ...args: unknown[]) => unknown;

/** Names to handlers. A `Map`, so that no name reaches a prototype. */
export type MethodTable = ReadonlyMap<string, Handler>;

/** Namespaces inside each other end here; also stops cycles. */
const MAX_DEPTH = 16;

/** Lists own enumerable functions; throws for what could never be called. */
export function createMethodTable(handlers: object): MethodTable {
  const table = new Map<string, Handler>();
  addAll(table, handlers, "", 0);
  return table;
}

function addAll(
  table: Map<string, Handler>,
  handlers: unknown,
  prefix: string,
  depth: number,
): void {
  if (typeof handlers !== "object" || handlers === null) {
    throw new TypeError(
      `Invalid handlers: expected ` +
        (prefix === ""
          ? "an object"
          : `${prefix} to be a function or an object`) +
        ` of functions, received ${describe(handlers)}`,
    );
  }
  if (depth > MAX_DEPTH) {
    throw new RangeError(
      `Invalid handlers: ${prefix} is nested deeper than ${MAX_DEPTH}`,
    );
  }
  const entries = Object.entries(handlers);
  if (entries.length === 0 && hasMethods(handlers)) {
    throw new TypeError(
      `Invalid handlers: ${prefix || "an instance"} of ` +
        `${describe(handlers.constructor)} has no functions of its own, and ` +
        "nothing inherited can be called: pass an object of functions",
    );
  }
  for (const [key, value] of entries) {
    const name = prefix === "" ? key : `${prefix}.${key}`;
    if (isReserved(key)) {
      throw new TypeError(`Invalid handlers: the name ${name} is reserved`);
    }
    if (typeof value !== "function") addAll(table, value, name, depth + 1);
    else if (table.has(name)) {
      throw new TypeError(`Invalid handlers: ${name} is there twice`);
    } else table.set(name, value as Handler);
  }
}

/** Whether a class gave it methods, which somebody expects to be served. */
function hasMethods(handlers: object): boolean {
  const prototype = Object.getPrototypeOf(handlers);
  return prototype !== null && prototype !== Object.prototype &&
    Object.getOwnPropertyNames(prototype).length > 1;
}

/** Calls that belong to the session or to a running call: a drain takes them. */
export function isControl(method: string): boolean {
  return method === "$callback" || method === "$ping" || method === "$describe";
}

/** `$/name` is free: language servers use it. */
function isReserved(key: string): boolean {
  return key === "then" || key === "toJSON" || key === "constructor" ||
    key === "__proto__" ||
    key === "" || (key.startsWith("$") && !key.startsWith("$/"));
}

/** The error for a name that is not in the table. */
export function methodNotFound(method: string): RpcError {
  return new RpcError(`Method not found: ${describe(method)}`, {
    code: "method-not-found",
  });
}

/** Whether `value` has at most `left` arrays or objects inside each other. */
export function isWithinDepth(value: unknown, left: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (ArrayBuffer.isView(value) || value instanceof Date) return true;
  if (left === 0) return false;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      if (!isWithinDepth(value[index], left - 1)) return false;
    }
    return true;
  }
  if (value instanceof Map) {
    for (const [key, item] of value) {
      if (!isWithinDepth(key, left - 1)) return false;
      if (!isWithinDepth(item, left - 1)) return false;
    }
    return true;
  }
  if (value instanceof Set) {
    for (const item of value) if (!isWithinDepth(item, left - 1)) return false;
    return true;
  }
  for (const key in value) {
    if (!isWithinDepth((value as Record<string, unknown>)[key], left - 1)) {
      return false;
    }
  }
  return true;
}
