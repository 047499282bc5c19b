import { describe } from "../_async/check.ts";

/** What a {@linkcode LatencyHistogram} says, in milliseconds. */
export interface LatencySummary {
  /** How many were recorded. */
  readonly count: number;
  /** The shortest; 0 without any, as are all below. */
  readonly min: number;
  /** The average. */
  readonly mean: number;
  /** The median: half took no longer. */
  readonly p50: number;
  /** What 90 in 100 took at most. */
  readonly p90: number;
  /** What 99 in 100 took at most. */
  readonly p99: number;
  /** The longest. */
  readonly max: number;
}

/** Buckets for each power of two: values within one differ by 1/32 at most. */
const DIVISIONS = 32;
const DIVISION_BITS = 5;
/** The longest time that has a bucket: 2^45 ns, more than nine hours. */
const MAX_EXPONENT = 44;
const BUCKETS = (MAX_EXPONENT - DIVISION_BITS + 2) * DIVISIONS;
const NANOSECONDS = 1e6;

/**
 * Counts times in buckets, so that percentiles of any number of them need 10 KiB
 * and no sample is lost. The buckets are log-linear, as in HdrHistogram: 32 for
 * each power of two, from a nanosecond to nine hours, so a percentile is off by
 * 1/32 (3.1 %) at most. Count, mean, minimum and maximum are exact.
 *
 * @example Percentiles
 * ```ts
 * import { LatencyHistogram } from "@sluice/ipc/observe";
 * import { assert, assertEquals } from "@std/assert";
 *
 * const histogram = new LatencyHistogram();
 * for (let milliseconds = 1; milliseconds <= 100; milliseconds++) {
 *   histogram.record(milliseconds);
 * }
 * const { count, max, p50 } = histogram.summary();
 * assertEquals([count, max], [100, 100]);
 * assert(Math.abs(p50 - 50) <= 50 / 32);
 * ```
 */
export class LatencyHistogram {
  /** Allocated by the first time, so that an idle connection has none. */
  #buckets: Float64Array | undefined;
  #count = 0;
  #sum = 0;
  #min = Infinity;
  #max = 0;

  /** How many times were recorded. */
  get count(): number {
    return this.#count;
  }

  /**
   * Records a time.
   *
   * @param milliseconds The time. Longer than nine hours counts as nine hours in
   * percentiles.
   * @throws {RangeError} If it is no number of 0 or more.
   */
  record(milliseconds: number): void {
    if (!(milliseconds >= 0)) {
      throw new RangeError(
        `Invalid latency: expected milliseconds of 0 or more, received ${
          describe(milliseconds)
        }`,
      );
    }
    this.#buckets ??= new Float64Array(BUCKETS);
    this.#buckets[bucketOf(Math.round(milliseconds * NANOSECONDS))]++;
    this.#count++;
    this.#sum += milliseconds;
    if (milliseconds < this.#min) this.#min = milliseconds;
    if (milliseconds > this.#max) this.#max = milliseconds;
  }

  /**
   * The time that a part of all took at most.
   *
   * @param percentile From 0 to 100.
   * @returns Milliseconds, or 0 where none was recorded.
   * @throws {RangeError} If the percentile is out of range.
   */
  percentile(percentile: number): number {
    if (!(percentile >= 0 && percentile <= 100)) {
      throw new RangeError(
        `Invalid percentile: expected 0 to 100, received ${
          describe(percentile)
        }`,
      );
    }
    if (this.#buckets === undefined) return 0;
    const wanted = Math.max(1, Math.ceil(percentile / 100 * this.#count));
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#buckets[bucket];
      if (seen >= wanted) {
        const time = highestOf(bucket) / NANOSECONDS;
        return Math.min(Math.max(time, this.#min), this.#max);
      }
    }
    return this.#max;
  }

  /** Adds what another one recorded. */
  add(other: LatencyHistogram): void {
    const theirs = other.#buckets;
    if (theirs === undefined) return;
    const ours = this.#buckets ??= new Float64Array(BUCKETS);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      ours[bucket] += theirs[bucket];
    }
    this.#count += other.#count;
    this.#sum += other.#sum;
    this.#min = Math.min(this.#min, other.#min);
    this.#max = Math.max(this.#max, other.#max);
  }

  /** Count, mean and the usual percentiles. */
  summary(): LatencySummary {
    const isEmpty = this.#count === 0;
    return {
      count: this.#count,
      min: isEmpty ? 0 : this.#min,
      mean: isEmpty ? 0 : this.#sum / this.#count,
      p50: this.percentile(50),
      p90: this.percentile(90),
      p99: this.percentile(99),
      max: this.#max,
    };
  }
}

/** The first 32 buckets hold one value each, and each 32 after twice as wide ones. */
function bucketOf(nanoseconds: number): number {
  if (nanoseconds < DIVISIONS) return nanoseconds;
  const exponent = nanoseconds < 2 ** 32
    ? 31 - Math.clz32(nanoseconds)
    : 32 + 31 - Math.clz32(nanoseconds / 2 ** 32);
  if (exponent > MAX_EXPONENT) return BUCKETS - 1;
  const shift = exponent - DIVISION_BITS;
  const cell = Math.floor(nanoseconds / 2 ** shift); // 32 to 63
  return (shift + 1) * DIVISIONS + cell - DIVISIONS;
}

/** The highest value of a bucket, in nanoseconds. */
function highestOf(bucket: number): number {
  if (bucket < DIVISIONS) return bucket;
  const shift = Math.floor(bucket / DIVISIONS) - 1;
  const cell = bucket % DIVISIONS + DIVISIONS;
  return (cell + 1) * 2 ** shift - 1;
}
