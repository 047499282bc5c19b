// Memory for what is about to be sent. Channels share it, so that an idle one
// holds none and a busy one need not ask for new zeros each time.

/** The most that is kept for later, in all, in bytes. */
const MAX_KEPT = 4 * 1024 * 1024;
/** A buffer of more than so many times what is wanted serves others better. */
const MAX_WASTE = 4;

const kept: Uint8Array<ArrayBuffer>[] = [];
let keptBytes = 0;

/** A buffer of at least `wanted` bytes, with anything in it. */
export function takeBuffer(wanted: number): Uint8Array<ArrayBuffer> {
  for (let i = kept.length - 1; i >= 0; i--) { // the last may be in the cache
    const { length } = kept[i];
    if (length < wanted || length > MAX_WASTE * wanted) continue;
    keptBytes -= length;
    const [buffer] = kept.splice(i, 1);
    return buffer;
  }
  return new Uint8Array(wanted);
}

/** Gives a buffer back that nobody else holds. */
export function giveBuffer(buffer: Uint8Array<ArrayBuffer>): void {
  if (buffer.length === 0) return; // or it was transferred
  while (keptBytes + buffer.length > MAX_KEPT && kept.length > 0) {
    keptBytes -= kept.shift()!.length; // what nobody wanted for longest
  }
  if (buffer.length > MAX_KEPT) return;
  kept.push(buffer);
  keptBytes += buffer.length;
}
