// What the parts of a session know of each other.

import type { Wire } from "./protocol.ts";
import type { CheckedOptions } from "./_options.ts";
import type { Fail } from "./_outbox.ts";
import type { Session } from "./session.ts";
import { RpcError } from "./errors.ts";

/** The session as its callers, callees, streams and callbacks see it. */
export interface Link {
  readonly session: Session;
  readonly options: CheckedOptions;
  readonly wire: Wire;
  /** Why no more can be sent, once that is so. */
  readonly ended: unknown;
  /** Whether messages wait for the peer to read, so that a new one waits too. */
  readonly isBehind: boolean;
  /**
   * Sends a message of our own accord. Throws, or calls `fail` with the token,
   * where it has no encoding.
   */
  post(message: unknown, fail?: Fail, token?: unknown): void;
  /**
   * The same for what the peer asked for: while much of it waits, no more is
   * read, so that a peer can't make us hold any amount.
   */
  answer(message: unknown, fail?: Fail, token?: unknown): void;
  /** Sends an extension's notification. */
  postExtension(
    name: ExtensionName,
    params: unknown[],
    fail?: Fail,
  ): void;
  /** Resolves when fewer than `limit` messages wait; undefined if it is so. */
  room(limit: number): Promise<void> | undefined;
  /** Something ended: a drain may be over. */
  settled(): void;
}

/** The reserved notifications. See docs/wire.md. */
export type ExtensionName =
  | "$with"
  | "$stream"
  | "$items"
  | "$end"
  | "$credit"
  | "$stop"
  | "$release"
  | "$drain"
  | "$cancel";

/** What `$with` carries for the request that follows it. */
export interface Extras {
  timeout?: number;
  metadata?: Record<string, unknown>;
  /** Path, id and kind of each stream among the arguments. */
  streams?: [path: unknown[], id: number, kind: string][];
  /** Path and id of each callback among the arguments. */
  callbacks?: [path: unknown[], id: number][];
}

/** The error that ends a connection whose peer broke the rules. */
export function violation(message: string): RpcError {
  return new RpcError(message, { code: "malformed" });
}

/** The id in an extension's parameters. */
export function checkRef(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw violation(`Cannot read extension: ${String(value)} is no id`);
  }
  return value as number;
}
