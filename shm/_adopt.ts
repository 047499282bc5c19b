// Segments that another process made.

import { libc } from "../_libc/library.ts";
import { lengthOf } from "./_descriptor.ts";
import { HEADER_SIZE, readHeader } from "./_header.ts";
import { Mapping, MAX_SEGMENT } from "./_mapping.ts";

/** Maps a descriptor that another process made, or closes it and throws. */
export function adopt(
  fd: number,
  what: string,
  check?: (fd: number, what: string) => void,
): Mapping {
  let length: number;
  try {
    check?.(fd, what);
    length = lengthOf(fd, what);
    if (length < HEADER_SIZE || length > MAX_SEGMENT) {
      throw new Deno.errors.InvalidData(
        `${what}: expected from ${HEADER_SIZE} to ${MAX_SEGMENT} bytes, ` +
          `it holds ${length}`,
      );
    }
  } catch (error) {
    libc(what).close!(fd);
    throw error;
  }
  const mapping = new Mapping(fd, length, what);
  try {
    // A copy, so that each field is read once.
    const header = new Uint8Array(mapping.buffer).slice(0, HEADER_SIZE);
    readHeader(header, length, what);
    return mapping;
  } catch (error) {
    mapping.close();
    throw error;
  }
}
