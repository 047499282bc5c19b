// What a stage asks of the pipeline that it is part of.

import type { CheckedOptions } from "./_check.ts";
import type { Failure } from "./_failures.ts";

/** The pipeline, as its stages see it. */
export interface Host {
  readonly options: CheckedOptions;
  readonly connection: "descriptors" | "streams";
  /** Whether its processes are being ended. */
  readonly ending: boolean;
  /** What went wrong first, so far. */
  readonly failure: Failure | undefined;
  /** What the user writes to, set by the first stage. */
  input: WritableStream<Uint8Array> | undefined;
  /** Notes what went wrong first, and ends the rest. */
  fail(failure: Failure): void;
  /** Somebody waits for what may come after all of the output. */
  readAhead(): void;
  /** Does something later, unless the pipeline is over by then. */
  later(milliseconds: number, act: () => void): void;
}
