// What an error says on the command line.

import {
  type Connection,
  ConnectionClosedError,
  type Listener,
} from "../duplex.ts";
import { peerOf } from "../framing/_channel_errors.ts";
import { PipelineError } from "../pipe/mod.ts";

/** The message, with why a connection was lost where that is known. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!(error instanceof ConnectionClosedError)) return error.message;
  const { cause } = error;
  if (cause instanceof PipelineError) return cause.message; // its exit code
  return cause instanceof Error && !error.message.includes(cause.message)
    ? `${error.message} (${cause.message})`
    : error.message;
}

/** Whose connection failed, or which listener. */
export function whose(
  listener: Listener,
  connection: Connection | undefined,
): string {
  return (connection && peerOf(connection)) ?? listener.address;
}
