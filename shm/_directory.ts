// Finding named segments: /dev/shm is where Linux keeps them.

import { cString, libc } from "../_libc/library.ts";
import { O_RDONLY } from "../_libc/constants.ts";
import { lengthOf, openNamed } from "./_descriptor.ts";
import { HEADER_SIZE, readHeader } from "./_header.ts";
import { isAlive, pidNamespace } from "./_process.ts";

const DIRECTORY = "/dev/shm";

/** A named segment, as {@linkcode SharedMemory.list} finds it. */
export interface SharedMemoryEntry {
  /** The name without a slash. */
  name: string;
  /** All its bytes, headers and whole pages included. */
  length: number;
  /** The process that made it. */
  ownerPid: number;
  /**
   * Whether that process, told apart by its start time, still runs;
   * `undefined` where it lives in another pid namespace.
   */
  ownerAlive: boolean | undefined;
  /** Whether it was made to outlive its maker. */
  keep: boolean;
}

/** See {@linkcode SharedMemory.list}. */
export function listSegments(): SharedMemoryEntry[] {
  if (Deno.build.os !== "linux") {
    throw new Deno.errors.NotSupported(
      `Cannot list shared memory: not available on ${Deno.build.os}`,
    );
  }
  libc("list shared memory");
  const entries: SharedMemoryEntry[] = [];
  for (const { name, isFile } of Deno.readDirSync(DIRECTORY)) {
    const entry = isFile ? inspect(name) : undefined;
    if (entry !== undefined) entries.push(entry);
  }
  return entries.sort((a, b) => a.name < b.name ? -1 : 1);
}

/** See {@linkcode SharedMemory.prune}. */
export function pruneSegments(
  { keep = false }: { keep?: boolean },
): SharedMemoryEntry[] {
  const c = libc("prune shared memory");
  return listSegments().filter((entry) =>
    entry.ownerAlive === false && (keep || !entry.keep) &&
    c.shm_unlink!(cString(`/${entry.name}`)) === 0
  );
}

/** Reads a header without mapping: a file may shrink while it is looked at. */
function inspect(name: string): SharedMemoryEntry | undefined {
  const c = libc("list shared memory");
  let fd = -1;
  try {
    fd = openNamed(name, O_RDONLY, "Cannot list shared memory");
    const bytes = new Uint8Array(HEADER_SIZE);
    const count = Number(c.read!(fd, bytes, BigInt(HEADER_SIZE)));
    const length = lengthOf(fd, "Cannot list shared memory");
    const header = readHeader(bytes.subarray(0, count), length, name);
    const here = header.namespace === pidNamespace();
    return {
      name,
      length,
      ownerPid: header.owner.pid,
      ownerAlive: here ? isAlive(header.owner) : undefined,
      keep: header.keep,
    };
  } catch {
    return undefined; // gone meanwhile, not ours to read, or none of ours
  } finally {
    if (fd >= 0) c.close!(fd);
  }
}
