// Why a session is over, in words of who still calls.

import { ConnectionClosedError, type Duplex } from "../duplex.ts";
import { peerOf } from "../framing/_channel_errors.ts";
import { FrameError } from "../framing/mod.ts";
import { RpcError } from "./errors.ts";

/** What calls without an answer reject with, for what ended the channel. */
export function reasonOf(cause: unknown, duplex: Duplex): unknown {
  if (isCode(cause, "ended")) {
    return new ConnectionClosedError(
      `Cannot call: ${peerOf(duplex) ?? "the peer"} ended the connection`,
      { code: "ended", cause },
    );
  }
  if (cause instanceof Error && !isOurs(cause)) return cause;
  const reason = cause instanceof Error ? ` (${cause.message})` : "";
  return new ConnectionClosedError(
    `Cannot call: the connection broke${reason}`,
    { code: "lost", cause },
  );
}

/** Whether the peer ended it in order (`"ended"`), or this side (`"closed"`). */
export function isCode(cause: unknown, code: "ended" | "closed"): boolean {
  return cause instanceof ConnectionClosedError && cause.code === code;
}

/** An error of what came, which says nothing of a call. */
function isOurs(cause: Error): boolean {
  return cause instanceof FrameError || cause instanceof RpcError;
}

/** Whether the peer broke the rules, and is to be told. */
export function isMalformed(cause: unknown): boolean {
  return cause instanceof FrameError ||
    (cause instanceof RpcError && cause.code === "malformed");
}
