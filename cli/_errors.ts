// What an error says on the command line.

import { ConnectionClosedError } from "../duplex.ts";
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
