// The loop that keeps a connection there.

import type { Connection, Duplex } from "../duplex.ts";
import { resolveRetry, retryDelay, type RetryOptions } from "./retry.ts";
import { deadline, sleep, within } from "./wait.ts";

/** How a lost connection is made anew. */
export interface ReconnectOptions extends RetryOptions {
  /**
   * How many tries in a row may fail before it gives up. With the other
   * defaults, 60 take about a minute.
   *
   * @default {60}
   */
  retries?: number;
  /**
   * Whether to try again after this error. By default, all but wrong arguments
   * and missing permissions are.
   */
  isTransient?: (error: unknown) => boolean;
}

/**
 * Opens a connection of any transport, such as
 * `({ signal }) => connect("unix:/run/a.sock", { signal })`.
 */
export type Connector = (
  options: { signal: AbortSignal },
) => Promise<Duplex | Connection>;

/** What a {@linkcode Reconnector} works with. */
export interface ReconnectorParts {
  connect: Connector;
  options: ReconnectOptions | undefined;
  /** Whether an error is worth another try, where the options don't tell. */
  isTransient?: (error: unknown) => boolean;
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
    this.#isTransient = options.isTransient ?? parts.isTransient ??
      isTransient;
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

/** All but wrong arguments and missing permissions. */
export function isTransient(error: unknown): boolean {
  return !(error instanceof Error && FINAL.has(error.name));
}
