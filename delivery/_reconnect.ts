// What channels that reconnect have in common.

import { isTransient as isUsually } from "../_async/reconnector.ts";
import { ConnectionClosedError } from "../duplex.ts";
import { ProtocolError } from "./delivery_error.ts";

/** Whether another try may go better. */
export function isTransient(error: unknown): boolean {
  return error instanceof ProtocolError
    ? !["desynchronised", "version", "refused"].includes(error.code)
    : isUsually(error);
}

/** The end of a channel that stops trying: it says why the last try failed. */
export function noConnection(error: unknown): ConnectionClosedError {
  const why = error instanceof Error ? error.message : String(error);
  return new ConnectionClosedError(
    `Cannot use the channel: there is no connection, and no more tries: ${why}`,
    { code: "lost", cause: error },
  );
}
