// The shape of the results, and what is computed from the runs.

import type { RunResult } from "./run.ts";

/** A figure over all rounds. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** One contender at one workload. Times in microseconds, memory in bytes. */
export interface Measurement {
  contender: string;
  workload: string;
  p50?: Spread;
  p99?: Spread;
  p999?: Spread;
  /** Messages, or round trips, a second. */
  rate: Spread;
  /** Payload one way, 10^6 bytes a second. */
  megabytes: Spread;
  /** CPU time of both ends for a message, or a round trip, in microseconds. */
  cpu: Spread;
  memory: Spread;
}

/** All that `bench/results/report.json` holds. */
export interface Report {
  machine: Record<string, string>;
  rounds: number;
  measurements: Measurement[];
  /** By group, title and contender: see `others.ts`. */
  others: Record<string, Record<string, Record<string, Spread>>>;
}

/** The median of an odd number of values, or the upper one of two. */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  return {
    median: sorted[sorted.length >> 1],
    min: sorted[0],
    max: sorted[sorted.length - 1],
  };
}

/** Sums up the rounds of one contender at one workload. */
export function sumUp(
  names: { contender: string; workload: string },
  { size, count }: { size: number; count: number },
  runs: readonly RunResult[],
): Measurement {
  const each = (value: (run: RunResult) => number) => spread(runs.map(value));
  return {
    ...names,
    ...runs[0].p50 === undefined ? {} : {
      p50: each((run) => run.p50!),
      p99: each((run) => run.p99!),
      p999: each((run) => run.p999!),
    },
    rate: each((run) => count / run.seconds),
    megabytes: each((run) => count * size / run.seconds / 1e6),
    cpu: each((run) => run.cpu / count * 1e6),
    memory: each((run) => run.memory),
  };
}
