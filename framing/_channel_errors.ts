// How a channel ends.

import { ConnectionClosedError } from "../duplex.ts";
import { FrameError } from "./frame_error.ts";

/** This side closed it. */
export function closedHere(): ConnectionClosedError {
  return new ConnectionClosedError(
    "Cannot use the channel: it was closed on this side",
    { code: "closed" },
  );
}

/** Whether an end is none that a consumer has to handle. */
export function isCleanEnd(error: unknown): boolean {
  return error instanceof ConnectionClosedError && error.code !== "lost";
}

/** What a broken stream means. Errors that tell it already stay as they are. */
export function toLoss(error: unknown): unknown {
  if (
    error instanceof ConnectionClosedError || error instanceof DOMException ||
    error instanceof FrameError
  ) return error;
  return new ConnectionClosedError("Cannot use the channel: it was lost", {
    code: "lost",
    cause: error,
  });
}

/** The peer ended the stream in order. */
export function endedByPeer(): ConnectionClosedError {
  return new ConnectionClosedError(
    "Cannot receive: the peer ended the connection",
    { code: "ended" },
  );
}
