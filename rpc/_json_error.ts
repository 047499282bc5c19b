// Errors of JSON-RPC: numbers in place of our codes.

import type { RpcErrorCode } from "./errors.ts";
import type { WireErrorObject } from "./wire_types.ts";
import { isPlainObject } from "./_values.ts";

/** JSON-RPC 2.0 and LSP 3.17 define the first ones; the rest is free. */
export const JSON_CODES: Record<RpcErrorCode, number> = {
  "malformed": -32600,
  "method-not-found": -32601,
  "invalid-params": -32602,
  "internal": -32603,
  "cancelled": -32800,
  "handler-error": -32000,
  "deadline-exceeded": -32050,
  "overloaded": -32051,
  "unavailable": -32052,
};

/** For bytes that are no message. */
export const PARSE_ERROR = -32700;

/** An error as JSON-RPC has it. */
export function toJsonError(error: WireErrorObject): Record<string, unknown> {
  const { code, origin, ...rest } = error;
  const own = code === "handler-error" && Number.isInteger(origin)
    ? origin
    : JSON_CODES[code];
  return own === origin || origin === undefined
    ? { ...rest, code: own }
    : { ...rest, code: own, origin };
}

/** The error as other wires have it. */
export function fromJsonError(error: unknown): unknown {
  if (!isPlainObject(error)) return error;
  for (const [code, number] of Object.entries(JSON_CODES)) {
    if (number !== error.code) continue;
    return { origin: number, ...error, code };
  }
  return error;
}
