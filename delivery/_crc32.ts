// CRC-32 as in zlib, so that any other language has it at hand.

/** Four tables: four bytes go through per step. */
let tables: Uint32Array[] | undefined;

function createTables(): Uint32Array[] {
  const made = [0, 1, 2, 3].map(() => new Uint32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) {
      crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    }
    made[0][byte] = crc;
  }
  for (let byte = 0; byte < 256; byte++) {
    for (let step = 1; step < 4; step++) {
      const crc = made[step - 1][byte];
      made[step][byte] = (crc >>> 8) ^ made[0][crc & 255];
    }
  }
  return made;
}

/** The checksum of `bytes` from `start` to `end`, after what had `previous`. */
export function crc32(
  bytes: Uint8Array,
  start: number,
  end: number,
  previous = 0,
): number {
  const [first, second, third, fourth] = tables ??= createTables();
  let crc = ~previous, at = start;
  for (; at + 4 <= end; at += 4) {
    crc ^= bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) |
      (bytes[at + 3] << 24);
    crc = fourth[crc & 255] ^ third[(crc >>> 8) & 255] ^
      second[(crc >>> 16) & 255] ^ first[crc >>> 24];
  }
  for (; at < end; at++) {
    crc = (crc >>> 8) ^ first[(crc ^ bytes[at]) & 255];
  }
  return ~crc >>> 0;
}
