// Timers that end a connection whose peer is silent or which nobody uses.

import type { CheckedOptions } from "./_options.ts";
import { timeoutError } from "../_async/wait.ts";

interface Watched {
  readonly isQuiet: boolean;
  readonly openStreams: number;
  ping(options: { timeout: number }): Promise<number>;
  close(): Promise<void>;
  abort(reason: unknown): void;
}

/** Both are off by default: an idle connection has no timer. */
export class Liveness {
  /** Messages that came so far. */
  received = 0;
  #timers: ReturnType<typeof setInterval>[] = [];

  constructor(session: Watched, options: CheckedOptions) {
    const { heartbeatInterval, heartbeatTimeout, idleTimeout } = options;
    if (heartbeatInterval !== Infinity) {
      this.#every(heartbeatInterval, () => {
        session.ping({ timeout: heartbeatTimeout }).catch((error) => {
          if ((error as Error).name !== "TimeoutError") return;
          session.abort(timeoutError("No sign of life", heartbeatTimeout));
        });
      });
    }
    if (idleTimeout !== Infinity) {
      this.#every(idleTimeout, () => {
        if (session.isQuiet && session.openStreams === 0) session.close();
      });
    }
  }

  /** Calls `act` when nothing came for one whole interval. */
  #every(interval: number, act: () => void): void {
    let seen = this.received;
    this.#timers.push(setInterval(() => {
      if (seen === this.received) act();
      seen = this.received;
    }, interval));
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }
}
