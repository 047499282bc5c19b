// Reproducible randomness for property tests.

/** A small seeded generator (mulberry32). */
export class Random {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed;
  }

  /** From 0 up to, and without, `end`. */
  below(end: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32 * end);
  }

  bytes(length: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }
}

/**
 * Runs `property` with many seeds. A failure's message names its seed: set
 * SLUICE_SEED to run that one alone.
 */
export function forAll(
  runs: number,
  property: (random: Random) => void,
): void {
  const only = Deno.env.get("SLUICE_SEED");
  const first = only === undefined
    ? Math.floor(Math.random() * 2 ** 31)
    : Number(only);
  for (let run = 0; run < (only === undefined ? runs : 1); run++) {
    const seed = first + run;
    try {
      property(new Random(seed));
    } catch (cause) {
      throw new Error(`Fails with SLUICE_SEED=${seed}: ${cause}`, { cause });
    }
  }
}
