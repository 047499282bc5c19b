// The options of a pool, checked.

import type { Connection } from "../duplex.ts";
import { checkInteger } from "../_async/check.ts";
import { checkTimeout } from "../_async/wait.ts";
import type { PoolOptions } from "./pool.ts";

/** The options with their defaults; only `check` may be missing. */
export type PoolLimits<C extends Connection> =
  & Required<Omit<PoolOptions<C>, "check">>
  & Pick<PoolOptions<C>, "check">;

export function resolvePoolLimits<C extends Connection>(
  options: PoolOptions<C>,
): PoolLimits<C> {
  const { min = 0, max = 10, maxWaiters = 1000 } = options;
  checkInteger("max", max, 1);
  checkInteger("min", min, 0, max);
  checkInteger("maxWaiters", maxWaiters, 0);
  return {
    min,
    max,
    maxWaiters,
    idleTimeout: time("idleTimeout", options.idleTimeout, 30_000),
    lifetime: time("lifetime", options.lifetime, Infinity),
    check: options.check,
    checkTimeout: time("checkTimeout", options.checkTimeout, 1_000),
    connectTimeout: time("connectTimeout", options.connectTimeout, 10_000),
    acquireTimeout: time("acquireTimeout", options.acquireTimeout, 10_000),
    leaseTimeout: time("leaseTimeout", options.leaseTimeout, Infinity),
  };
}

function time(
  name: string,
  value: number | undefined,
  standard: number,
): number {
  if (value === undefined) return standard;
  if (checkTimeout(name, value) === 0) {
    throw new RangeError(
      `Invalid ${name}: expected milliseconds above 0, received 0`,
    );
  }
  return value;
}
