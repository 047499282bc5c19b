import type { Timeouts } from "../duplex.ts";
import { checkTimeout } from "../_async/wait.ts";

/** Defaults of {@linkcode Timeouts} in `delivery`. */
const DEFAULTS: Required<Timeouts> = {
  connect: 10_000,
  idle: 20_000,
  send: Infinity,
  receive: Infinity,
  partialFrame: 30_000,
  exchange: Infinity,
  close: 5_000,
};

/** The timeouts with their defaults, checked. */
export function resolveTimeouts(timeouts: Timeouts = {}): Required<Timeouts> {
  const resolved = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS) as (keyof Timeouts)[]) {
    const value = timeouts[name];
    if (value === undefined) continue;
    resolved[name] = checkTimeout(`timeouts.${name}`, value);
  }
  for (const name of ["idle", "partialFrame"] as const) {
    if (resolved[name] > 0) continue;
    throw new RangeError(
      `Invalid timeouts.${name}: expected milliseconds above 0, received 0`,
    );
  }
  return resolved;
}
