// Finds the streams and functions among arguments, and puts their stand-ins
// back on the other side. They are looked for in the arguments themselves and
// one level down in plain objects (options such as `{ onProgress }`).

/** Where a live value was: the argument's index, and its key in an object. */
export type ValuePath = [index: number] | [index: number, key: string];

/** How a stream is handed to the other side. */
export type StreamKind = "iterable" | "readable";

/** Whether values of this type need more than the codec. */
export function isLive(value: unknown): boolean {
  return typeof value === "function" || streamKind(value) !== undefined;
}

/** Which kind of stream it is, if it is one. */
export function streamKind(value: unknown): StreamKind | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (value instanceof ReadableStream) return "readable";
  return typeof (value as AsyncIterable<unknown>)[Symbol.asyncIterator] ===
      "function"
    ? "iterable"
    : undefined;
}

/** An object literal, or one without a prototype. */
export function isPlainObject(
  value: unknown,
): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Whether an argument, or a property of a plain object, is live. */
export function hasLive(params: readonly unknown[]): boolean {
  for (let index = 0; index < params.length; index++) {
    const value = params[index];
    if (typeof value === "function") return true;
    if (typeof value !== "object" || value === null) continue;
    if (streamKind(value) !== undefined) return true;
    if (!isPlainObject(value)) continue;
    for (const key in value) if (isLive(value[key])) return true;
  }
  return false;
}

/**
 * Calls `take` for each live value and returns a copy of `params` with `null`
 * in their places.
 */
export function extractLive(
  params: readonly unknown[],
  take: (value: unknown, path: ValuePath) => void,
): unknown[] {
  return params.map((value, index) => {
    if (isLive(value)) {
      take(value, [index]);
      return null;
    }
    if (!isPlainObject(value) || !Object.values(value).some(isLive)) {
      return value;
    }
    const copy = { ...value };
    for (const key of Object.keys(copy)) {
      if (!isLive(copy[key])) continue;
      take(copy[key], [index, key]);
      copy[key] = null;
    }
    return copy;
  });
}

/** Puts `value` where the `null` is. False where a hostile path leads off. */
export function placeLive(
  params: unknown[],
  path: unknown,
  value: unknown,
): boolean {
  if (!Array.isArray(path) || path.length < 1 || path.length > 2) return false;
  const [index, key] = path;
  if (!Number.isInteger(index) || index < 0 || index >= params.length) {
    return false;
  }
  if (path.length === 1) {
    if (params[index] !== null) return false;
    params[index] = value;
    return true;
  }
  const holder = params[index];
  if (
    typeof key !== "string" || !isPlainObject(holder) ||
    !Object.hasOwn(holder, key) || holder[key] !== null
  ) return false;
  Object.defineProperty(holder, key, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  });
  return true;
}
