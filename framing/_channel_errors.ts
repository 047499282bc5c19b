// How a channel ends.

import {
  type Connection,
  ConnectionClosedError,
  type Duplex,
} from "../duplex.ts";
import { FrameError } from "./frame_error.ts";

/** The peer for error messages, where the transport knows it. */
export function peerOf(
  { remote, local }: Duplex & Partial<Connection>,
): string | undefined {
  if (typeof remote !== "string" || remote === "") return undefined;
  return remote.endsWith(":") && local && local.length > remote.length
    ? `a client of ${local}` // one of a path has no address
    : remote;
}

/** This side closed it. */
export function closedHere(peer?: string): ConnectionClosedError {
  return new ConnectionClosedError(
    `Cannot use the channel${to(peer)}: it was closed on this side`,
    { code: "closed" },
  );
}

/** Whether an end is none that a consumer has to handle. */
export function isCleanEnd(error: unknown): boolean {
  return error instanceof ConnectionClosedError && error.code !== "lost";
}

/** What a broken stream means. Errors that tell it already stay as they are. */
export function toLoss(error: unknown, peer?: string): unknown {
  if (
    error instanceof ConnectionClosedError || error instanceof DOMException ||
    error instanceof FrameError
  ) return error;
  return new ConnectionClosedError(
    `Cannot use the channel${to(peer)}: it was lost`,
    { code: "lost", cause: error },
  );
}

/** The peer ended the stream: in order, unless there should have been more. */
export function endedByPeer(
  peer?: string,
  code: "ended" | "lost" = "ended",
): ConnectionClosedError {
  return new ConnectionClosedError(
    `Cannot receive${from(peer)}: the peer ended the connection`,
    { code },
  );
}

function to(peer: string | undefined): string {
  return peer === undefined ? "" : ` to ${peer}`;
}

function from(peer: string | undefined): string {
  return peer === undefined ? "" : ` from ${peer}`;
}
