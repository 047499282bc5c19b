// The errors of messages that were not acknowledged.

import { DeliveryError } from "./delivery_error.ts";

function name(sequence: number | undefined): string {
  return sequence === undefined ? "a message" : `message ${sequence}`;
}

/** The error of a message without an acknowledgement. */
export function undelivered(
  cause: unknown,
  maybeDelivered: boolean,
  sequence?: number,
  code?: "closed" | "lost",
): DeliveryError {
  const isTimeout = cause instanceof DOMException &&
    cause.name === "TimeoutError";
  const why = cause instanceof Error ? cause.message : String(cause);
  return new DeliveryError(
    `Cannot deliver ${name(sequence)}: ${
      maybeDelivered ? "it may have arrived" : "it was not sent"
    } (${why})`,
    {
      code: code ?? (isTimeout ? "timeout" : "aborted"),
      maybeDelivered,
      cause,
    },
  );
}

/** The error of a message that a peer has forgotten, with its session. */
export function sessionLost(sequence?: number): DeliveryError {
  return new DeliveryError(
    `Cannot deliver ${name(sequence)}: the peer has forgotten the session`,
    { code: "session-lost", maybeDelivered: true },
  );
}
