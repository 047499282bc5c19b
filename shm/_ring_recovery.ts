// Where a producer goes on that takes the place of one that died.

import type { RingParts } from "./_ring_layout.ts";
import { longestRecord, RECORD_HEADER } from "./_ring_layout.ts";
import { corrupt } from "./_ring_access.ts";

/** Goes over the committed records to where the last producer stopped. */
export function findHead(
  { words, capacity }: RingParts,
  tail: number,
): number {
  const longest = longestRecord(capacity);
  let head = tail;
  while (head - tail < capacity - RECORD_HEADER) {
    const at = head & (capacity - 1);
    const word = Atomics.load(words, at >> 2);
    if (word === 0) return head | 0;
    const size = word > 0 ? (word + 7) & ~7 : -word;
    if (
      word > 0
        ? word < RECORD_HEADER || word > longest + RECORD_HEADER ||
          at + size > capacity
        : size !== capacity - at || at === 0
    ) throw corrupt(`record length ${word} at ${at}`);
    head += size;
  }
  if (head - tail === capacity - RECORD_HEADER) return head | 0;
  throw corrupt("no free word");
}
