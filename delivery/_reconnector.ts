// The loop that keeps a connection there.

import {
  type Connection,
  ConnectionClosedError,
  type Duplex,
} from "../duplex.ts";
import { resolveRetry, retryDelay } from "../_async/retry.ts";
import { deadline, sleep, within } from "../_async/wait.ts";
import { ProtocolError } from "./delivery_error.ts";
import type { Connector, ReconnectOptions } from "./reliable_types.ts";

/** What a {@linkcode Reconnector} works with. */
export interface ReconnectorParts {
  connect: Connector;
  options: ReconnectOptions | undefined;
  /** For the connection and what `use` says first, in milliseconds. */
  timeout: number;
  /**
   * Takes the connection into use and resolves once it works. `ended` resolves
   * when it no longer does, with whether it was good for anything.
   */
  use: (
    duplex: Duplex & Partial<Connection>,
    signal: AbortSignal,
    attempts: number,
  ) => Promise<{ ended: Promise<{ useful: boolean }> }>;
  /** A try failed; there will be another. */
  onFailed: (error: unknown) => void;
  /** There will be none. */
  onGiveUp: (error: unknown) => void;
}

const RETRIES = 60;

/** Connects, and connects again, until it is stopped or gives up. */
export class Reconnector {
  #parts: ReconnectorParts;
  #retry: ReturnType<typeof resolveRetry>;
  #isTransient: (error: unknown) => boolean;
  #stop = new AbortController();

  constructor(parts: ReconnectorParts) {
    const { options = {} } = parts;
    this.#parts = parts;
    this.#retry = resolveRetry({
      ...options,
      retries: options.retries ?? RETRIES,
    });
    this.#isTransient = options.isTransient ?? isTransient;
  }

  async run(): Promise<void> {
    const { signal } = this.#stop;
    let attempts = 0;
    while (!signal.aborted) {
      attempts++;
      try {
        const { ended } = await this.#attempt(attempts);
        const { useful } = await ended;
        // One that is accepted and cut each time is no better than one refused.
        if (useful) attempts = 0;
        else if (attempts > this.#retry.retries) {
          throw new Error(
            "Cannot stay connected: each connection ended at once",
          );
        }
      } catch (error) {
        if (signal.aborted) return;
        if (attempts > this.#retry.retries || !this.#isTransient(error)) {
          return this.#parts.onGiveUp(error);
        }
        this.#parts.onFailed(error);
      }
      await sleep(
        retryDelay(Math.max(0, attempts - 1), this.#retry),
        signal,
      ).catch(() => {});
    }
  }

  async #attempt(
    attempts: number,
  ): Promise<{ ended: Promise<{ useful: boolean }> }> {
    const { connect, use, timeout } = this.#parts;
    using end = deadline("Cannot connect", {
      signal: this.#stop.signal,
      timeout,
    });
    const { signal } = end;
    const connecting = Promise.resolve(connect({ signal }));
    let duplex: Duplex & Partial<Connection>;
    try {
      duplex = await within(connecting, "Cannot connect", { signal });
    } catch (error) {
      // One that comes too late is not left open.
      connecting.then((late) => abandon(late, error), () => {});
      throw error;
    }
    try {
      return await use(duplex, signal, attempts);
    } catch (error) {
      abandon(duplex, error);
      throw error;
    }
  }

  stop(): void {
    this.#stop.abort();
  }
}

function abandon(duplex: Duplex & Partial<Connection>, error: unknown): void {
  if (duplex.abort !== undefined) return duplex.abort(error);
  if (!duplex.readable.locked) duplex.readable.cancel(error).catch(() => {});
  if (!duplex.writable.locked) duplex.writable.abort(error).catch(() => {});
}

const FINAL = new Set([
  "TypeError",
  "RangeError",
  "NotSupported",
  "NotCapable",
  "PermissionDenied",
]);

function isTransient(error: unknown): boolean {
  if (error instanceof ProtocolError) {
    return !["desynchronised", "version", "refused"].includes(error.code);
  }
  return !(error instanceof Error && FINAL.has(error.name));
}

/** The end of a channel that stops trying: it says why the last try failed. */
export function noConnection(error: unknown): ConnectionClosedError {
  const why = error instanceof Error ? error.message : String(error);
  return new ConnectionClosedError(
    `Cannot use the channel: there is no connection, and no more tries: ${why}`,
    { code: "lost", cause: error },
  );
}
