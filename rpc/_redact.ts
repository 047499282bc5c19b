// What a peer learns of an error that was thrown here.

import type { Context } from "./context.ts";
import type { Link } from "./_link.ts";
import type { WireErrorObject } from "./wire_types.ts";
import { RpcError } from "./errors.ts";
import { toWireError } from "./_wire_error.ts";

/** The error to send, after `redactError` has seen it. */
export function redact(
  link: Link,
  thrown: unknown,
  context: Context | undefined,
): WireErrorObject {
  const { exposeStacks, redactError, onError } = link.options;
  let error = thrown;
  try {
    if (redactError !== undefined) error = redactError(thrown, context);
  } catch (failure) {
    onError(failure, link.session);
    error = new RpcError("The error was withheld", { code: "internal" });
  }
  return toWireError(error, exposeStacks);
}

/** The same without what may have no encoding. */
export function textOnly(error: WireErrorObject): WireErrorObject {
  const { code, message, name } = error;
  return { code, message, name };
}
