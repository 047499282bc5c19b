import type { Totals } from "./_totals.ts";

/** The counters behind each `ConnectionMetrics`, which doesn't show them. */
export const TOTALS: WeakMap<object, Totals> = new WeakMap();

export function totalsOf(metrics: object): Totals {
  const totals = TOTALS.get(metrics);
  if (totals === undefined) {
    throw new TypeError("Invalid metrics: expected a ConnectionMetrics");
  }
  return totals;
}
