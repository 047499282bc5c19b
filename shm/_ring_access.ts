// How both sides of a ring get at its memory.

/** Payloads up to this many bytes go by 8-byte words where both are aligned. */
export const WORD_COPY_MAX = 256;
/**
 * x86-64 keeps the order of stores and the order of loads by itself, so that a
 * plain store is a release and a plain load an acquire. JavaScript's own
 * atomics are sequentially consistent: each store waits for all before it to
 * reach the cache, which costs more than the whole record.
 */
export const TSO = Deno.build.arch === "x86_64";

/** A view of `bytes` by words of 8 bytes, where they are aligned for it. */
export function longsOf(bytes: Uint8Array): BigInt64Array | undefined {
  return bytes.byteOffset % 8 === 0
    ? new BigInt64Array(bytes.buffer, bytes.byteOffset, bytes.length >> 3)
    : undefined;
}

/** The error for what only a broken or hostile peer writes. */
export function corrupt(what: string): Deno.errors.InvalidData {
  return new Deno.errors.InvalidData(`Cannot use ring: corrupt, ${what}`);
}
