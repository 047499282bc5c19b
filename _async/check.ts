// Checks of arguments. Pure: no Deno API, no imports.

/** Returns `value` where it is an integer within the bounds, or throws. */
export function checkInteger(
  name: string,
  value: number,
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== "number") {
    throw new TypeError(
      `Invalid ${name}: expected an integer, received ${describe(value)}`,
    );
  }
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(
      `Invalid ${name}: expected an integer from ${min} to ${max}, received ${value}`,
    );
  }
  return value;
}

/** Returns `value` where it is one of `allowed`, or throws. */
export function checkOneOf<T>(
  name: string,
  value: T,
  allowed: readonly T[],
): T {
  if (!allowed.includes(value)) {
    throw new TypeError(
      `Invalid ${name}: expected one of ${allowed.map(describe).join(", ")}, ` +
        `received ${describe(value)}`,
    );
  }
  return value;
}

/** Returns `value` where it is a non-empty string without NUL, or throws. */
export function checkString(name: string, value: string): string {
  if (typeof value !== "string") {
    throw new TypeError(
      `Invalid ${name}: expected a string, received ${describe(value)}`,
    );
  }
  if (value === "" || value.includes("\0")) {
    throw new TypeError(
      `Invalid ${name}: expected a non-empty string without NUL, ` +
        `received ${describe(value)}`,
    );
  }
  return value;
}

/** Throws unless `duplex` has two free streams: not `channel(connect(…))` unawaited. */
export function checkDuplex(duplex: unknown): void {
  const { readable, writable } = Object(duplex);
  if (
    typeof readable?.getReader === "function" &&
    typeof writable?.getWriter === "function"
  ) {
    if (!readable.locked && !writable.locked) return;
    throw new TypeError(
      `Invalid duplex: its ${readable.locked ? "readable" : "writable"} is ` +
        `locked, something else uses it already`,
    );
  }
  throw new TypeError(
    `Invalid duplex: expected readable and writable streams, ` +
      `received ${describe(duplex)}`,
  );
}

/** Throws unless `listener` accepts connections: not `listen(…)` unawaited. */
export function checkListener(listener: unknown): void {
  if (typeof Object(listener).accept === "function") return;
  throw new TypeError(
    `Invalid listener: expected one with accept, ` +
      `received ${describe(listener)}`,
  );
}

/** Throws unless `value` can be called. */
export function checkFunction(name: string, value: unknown): void {
  if (typeof value === "function") return;
  throw new TypeError(
    `Invalid ${name}: expected a function, received ${describe(value)}`,
  );
}

/** Throws unless `signal` is missing, or can abort. */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  if (typeof Object(signal).addEventListener === "function") return;
  throw new TypeError(
    `Invalid signal: expected an AbortSignal, received ${describe(signal)}`,
  );
}

/** A value as an error message shows it, short enough for a log line. */
export function describe(value: unknown): string {
  if (typeof value === "string") {
    const shown = value.length > 80 ? `${value.slice(0, 80)}…` : value;
    return JSON.stringify(shown);
  }
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "function") {
    const kind = /^class\b/.test(String(value)) ? "class" : "function";
    return `${kind} ${value.name || "without a name"}`;
  }
  if (value instanceof Promise) return "a promise: await it first";
  if (typeof value === "object" && value !== null) return describeObject(value);
  return String(value);
}

/** The keys of a plain object, and not its values: they may be secrets. */
function describeObject(value: object): string {
  const tag = Object.prototype.toString.call(value);
  if (tag !== "[object Object]") return tag;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    return `an instance of ${prototype.constructor?.name || "a class"}`;
  }
  const keys = Object.keys(value);
  if (keys.length === 0) return "{}";
  const shown = keys.slice(0, 5).map((key) =>
    /^\w{1,32}$/.test(key) ? key : JSON.stringify(key.slice(0, 32))
  );
  if (keys.length > shown.length) shown.push("…");
  return `an object with ${shown.join(", ")}`;
}
