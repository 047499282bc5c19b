// The options of a session with their defaults, checked once.

import type { Session } from "./session.ts";
import type { SessionOptions } from "./session_options.ts";
import { ConnectionClosedError } from "../duplex.ts";
import { FrameError } from "../framing/mod.ts";
import { checkFunction, checkInteger, describe } from "../_async/check.ts";
import { RpcError } from "./errors.ts";
import { checkTimeout } from "../_async/wait.ts";
import { messagePackRpc } from "./message_pack_rpc.ts";

/** All of {@linkcode SessionOptions}, with a value for each. */
export type CheckedOptions =
  & Required<Omit<SessionOptions, "redactError" | "credentials">>
  & Pick<SessionOptions, "redactError" | "credentials">;

const COUNTS = {
  maxConcurrentCalls: 1024,
  maxQueuedCalls: 1024,
  maxPendingCalls: 65_536,
  maxStreams: 256,
  streamWindow: 1024,
  maxCallbacks: 1024,
  maxMessageLength: 16 * 1024 * 1024,
  maxBatchLength: 100,
  maxDepth: 64,
  highWaterMark: 128 * 1024,
} as const;

const TIMES = {
  timeout: Infinity,
  heartbeatInterval: Infinity,
  heartbeatTimeout: 10_000,
  idleTimeout: Infinity,
  stallTimeout: 30_000,
} as const;

const HOOKS = ["onError", "redactError", "credentials"] as const;

/** Fills in the defaults; throws where a value is out of bounds. */
export function checkOptions(options: SessionOptions): CheckedOptions {
  const checked: Record<string, unknown> = {
    protocol: options.protocol ?? messagePackRpc(),
    exposeStacks: options.exposeStacks ?? false,
    redactError: options.redactError,
    credentials: options.credentials,
    middleware: options.middleware ?? [],
    callMiddleware: options.callMiddleware ?? [],
    describe: options.describe ?? true,
    onError: guard(options.onError ?? logError),
  };
  checkProtocol(checked.protocol);
  for (const name of HOOKS) {
    if (options[name] !== undefined) checkFunction(name, options[name]);
  }
  for (const [name, initial] of Object.entries(COUNTS)) {
    const value = options[name as keyof typeof COUNTS] ?? initial;
    const min = name === "maxQueuedCalls" || name === "maxCallbacks" ||
        name === "maxStreams"
      ? 0
      : 1;
    checked[name] = value === Infinity ? value : checkInteger(name, value, min);
  }
  for (const [name, initial] of Object.entries(TIMES)) {
    const value = options[name as keyof typeof TIMES] ?? initial;
    checked[name] = checkTimeout(name, value);
  }
  return checked as unknown as CheckedOptions;
}

/** Throws for a name, or for `jsonRpc` where `jsonRpc()` is meant. */
function checkProtocol(protocol: unknown): void {
  if (typeof Object(protocol).createWire === "function") return;
  throw new TypeError(
    `Invalid protocol: expected one such as jsonRpc(), received ${
      describe(protocol)
    }`,
  );
}

/** A hook that throws must not keep a connection from ending. */
function guard(
  onError: NonNullable<SessionOptions["onError"]>,
): NonNullable<SessionOptions["onError"]> {
  return (error, session) => {
    try {
      onError(error, session);
    } catch (failure) {
      console.error("onError threw", failure, "when it was told of", error);
    }
  };
}

/** A peer that went away is no news for a server's log; the rest is. */
function logError(error: unknown, session?: Session): void {
  if (error instanceof ConnectionClosedError) return;
  // What a peer sent is its fault: where this side noticed it tells nothing.
  const isPeers = error instanceof FrameError ||
    (error instanceof RpcError && error.code === "malformed");
  const shown = isPeers ? String(error) : error;
  console.error(`Error in a connection${peerName(session)}:`, shown);
}

function peerName(session: Session | undefined): string {
  const { address, credentials } = session?.peer ?? {};
  if (address === undefined) return "";
  return credentials === undefined
    ? ` with ${address.replace(/:$/, "")}`
    : ` with ${address} process ${credentials.pid} of user ${credentials.uid}`;
}
