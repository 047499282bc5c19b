// Finding named segments: /dev/shm is where Linux keeps them.

import { cString, libc } from "../_libc/library.ts";
import { LOCK_EX, LOCK_NB, O_RDONLY } from "../_libc/constants.ts";
import { leadsTo, lengthOf, openNamed } from "./_descriptor.ts";
import { HEADER_SIZE, readHeader } from "./_header.ts";
import { isAlive } from "../_libc/process.ts";
import { pidNamespace } from "./_process.ts";

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
  for (const { name, isFile } of readDirectory()) {
    const entry = isFile ? inspect(name) : undefined;
    if (entry !== undefined) entries.push(entry);
  }
  return entries.sort((a, b) => a.name < b.name ? -1 : 1);
}

function readDirectory(): Iterable<Deno.DirEntry> {
  try {
    return Deno.readDirSync(DIRECTORY);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    // The runtime's own message asks for --allow-read first, which is not enough.
    throw new Deno.errors.NotCapable(
      `Cannot list shared memory: the runtime wants all permissions for ` +
        `${DIRECTORY}, run again with --allow-all`,
      { cause: error },
    );
  }
}

/** See {@linkcode SharedMemory.prune}. */
export function pruneSegments(
  { keep = false }: { keep?: boolean },
): SharedMemoryEntry[] {
  const left = ({ ownerAlive, keep: kept }: SharedMemoryEntry) =>
    ownerAlive === false && (keep || !kept);
  return listSegments().filter((entry) => left(entry) && remove(entry, left));
}

/**
 * Removes a name if it still leads to what is to go. Between the look and the
 * removal another may prune it and a third create it anew: so whoever prunes
 * locks the file first, and then looks whether the name still leads there.
 */
function remove(
  { name }: SharedMemoryEntry,
  left: (entry: SharedMemoryEntry) => boolean,
): boolean {
  const what = "Cannot prune shared memory";
  const c = libc("prune shared memory");
  let fd = -1;
  try {
    fd = openNamed(name, O_RDONLY, what);
    if (c.flock !== null && c.flock(fd, LOCK_EX | LOCK_NB) !== 0) return false;
    const entry = inspect(name, fd);
    return entry !== undefined && left(entry) && leadsTo(name, fd) &&
      c.shm_unlink!(cString(`/${name}`)) === 0;
  } catch {
    return false; // gone meanwhile
  } finally {
    if (fd >= 0) c.close!(fd);
  }
}

/** Reads a header without mapping: a file may shrink while it is looked at. */
function inspect(
  name: string,
  opened?: number,
): SharedMemoryEntry | undefined {
  const c = libc("list shared memory");
  let fd = opened ?? -1;
  try {
    if (fd < 0) fd = openNamed(name, O_RDONLY, "Cannot list shared memory");
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
    if (opened === undefined && fd >= 0) c.close!(fd);
  }
}
