// An error as a plain object that any codec carries, and back.

import {
  type RemoteErrorInfo,
  RPC_ERROR_CODES,
  RpcError,
  type RpcErrorCode,
} from "./errors.ts";
import type { WireErrorObject } from "./wire_types.ts";
import { isPlainObject } from "./_values.ts";

/** Causes of causes end here: an error may be its own cause. */
const MAX_CAUSES = 8;

/** What is sent for a thrown value, which need not be an error. */
export function toWireError(
  thrown: unknown,
  exposeStacks: boolean,
  depth: number = 0,
): WireErrorObject {
  if (!isErrorLike(thrown)) {
    return {
      code: "handler-error",
      message: `Handler threw ${describeThrown(thrown)}`,
      name: thrown === null ? "null" : typeof thrown,
      data: isSendable(thrown) ? thrown : undefined,
    };
  }
  const own = thrown instanceof RpcError ? thrown : undefined;
  const wire: WireErrorObject = {
    code: own?.code ?? "handler-error",
    message: text(thrown.message),
    name: own?.remote?.name ?? text(thrown.name),
  };
  const origin = own === undefined
    ? (thrown as { code?: unknown }).code
    : own.remote?.code;
  if (typeof origin === "string" || typeof origin === "number") {
    wire.origin = origin;
  }
  const data = (thrown as { data?: unknown }).data;
  if (data !== undefined && isSendable(data)) wire.data = data;
  if (thrown.cause !== undefined && depth < MAX_CAUSES) {
    wire.cause = isErrorLike(thrown.cause)
      ? toWireError(thrown.cause, exposeStacks, depth + 1)
      : isSendable(thrown.cause)
      ? { value: thrown.cause }
      : undefined;
  }
  if (exposeStacks && typeof thrown.stack === "string") {
    wire.stack = own?.remote?.stack ?? thrown.stack;
  }
  return wire;
}

/**
 * The error for what a peer sent in place of one. Other programs send a text
 * (many), or a pair of type and text (Neovim).
 */
export function fromWireError(value: unknown, depth: number = 0): RpcError {
  if (typeof value === "string") return new RpcError(value);
  if (Array.isArray(value)) {
    const text = value.find((part) => typeof part === "string");
    return new RpcError(text ?? "The peer sent an error without a text", {
      data: value,
      remote: { name: "Error", code: numberOrText(value[0]) },
    });
  }
  if (!isPlainObject(value)) {
    return new RpcError(`The peer answered with the error ${String(value)}`, {
      data: value,
    });
  }
  const { code, name, origin, message, stack } = value;
  const known = RPC_ERROR_CODES.includes(code as RpcErrorCode);
  const remote: RemoteErrorInfo = {
    name: typeof name === "string" ? name : "Error",
    ...(numberOrText(known ? origin : code) === undefined
      ? {}
      : { code: numberOrText(known ? origin : code) }),
    ...(typeof stack === "string" ? { stack } : {}),
  };
  const cause = depth < MAX_CAUSES ? causeOf(value.cause, depth) : undefined;
  return new RpcError(
    typeof message === "string" ? message : "The peer sent no message",
    {
      code: known ? code as RpcErrorCode : "handler-error",
      data: value.data,
      remote,
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

function causeOf(cause: unknown, depth: number): unknown {
  if (!isPlainObject(cause)) return cause ?? undefined;
  if ("value" in cause && !("message" in cause)) return cause.value;
  return fromWireError(cause, depth + 1);
}

function numberOrText(value: unknown): string | number | undefined {
  return typeof value === "string" || typeof value === "number"
    ? value
    : undefined;
}

/** `instanceof` fails for errors of other realms and for `DOMException`. */
function isErrorLike(value: unknown): value is Error {
  return value instanceof Error ||
    (typeof value === "object" && value !== null &&
      Object.prototype.toString.call(value) === "[object DOMException]");
}

/** Functions and symbols would make the answer itself fail. */
function isSendable(value: unknown): boolean {
  return value !== undefined && typeof value !== "function" &&
    typeof value !== "symbol";
}

/** A hostile or careless error may have a getter that throws, or no text. */
function text(value: unknown): string {
  return typeof value === "string" ? value : describeThrown(value);
}

function describeThrown(value: unknown): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  }
  return typeof value === "object" && value !== null
    ? Object.prototype.toString.call(value)
    : String(value);
}
