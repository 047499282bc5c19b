// What the items of a stream take of its window: see `streamWindow`. Both sides
// count, so they have to come to the same for what was sent and what came.

const ENTRY = 8;

/** Counts one item. */
export type Cost = (item: unknown) => number;

/** 1, and 1 for each whole KiB of what the item holds, at any depth. */
export function deepCost(item: unknown): number {
  if (typeof item !== "object" || item === null) return shallowCost(item);
  return 1 + Math.floor(weigh(item) / 1024);
}

/**
 * 1, and 1 for each whole KiB of a text. For codecs that change values on the
 * way, such as a date to a text, so that nothing inside can be counted alike.
 */
export function shallowCost(item: unknown): number {
  return typeof item === "string" ? 1 + (item.length >> 10) : 1;
}

function weigh(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 0;
  if (ArrayBuffer.isView(value)) return value.byteLength;
  let weight = 0;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      weight += ENTRY + weigh(value[index]);
    }
  } else if (value instanceof Map) {
    for (const [key, item] of value) {
      weight += ENTRY + weigh(key) + weigh(item);
    }
  } else if (value instanceof Set) {
    for (const item of value) {
      // Arrived, undefined is null, which a set has once.
      if (item === undefined && value.has(null)) continue;
      weight += ENTRY + weigh(item);
    }
  } else {
    for (const key of Object.keys(value)) {
      const item = (value as Record<string, unknown>)[key];
      // What is undefined is left out on the way.
      if (item !== undefined) weight += ENTRY + key.length + weigh(item);
    }
  }
  return weight;
}
