/** Milliseconds since 1970 by the monotonic clock. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
