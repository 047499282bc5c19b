// Where a FIFO's file comes from, and what may stand in its place.

import { makeFifo, openEnd } from "../_libc/fifo.ts";
import { closeDescriptor } from "../_libc/pipe.ts";

/** What is at the path, links not followed. */
export function lookAt(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The error for a path that is taken. */
export function exists(what: string, info: Deno.FileInfo | undefined): Error {
  return new Deno.errors.AlreadyExists(
    info?.isFifo
      ? `${what}: there is a FIFO at the path, use ifExists "reuse" or "replace"`
      : `${what}: the path exists and is no FIFO, use another path`,
  );
}

/** Throws unless the path is free, or a FIFO that nobody reads. */
export function checkReplaceable(path: string, what: string): void {
  const info = lookAt(path);
  if (info === undefined) return;
  if (!info.isFifo) throw exists(what, info);
  const fd = openEnd(path, "write", { follow: false });
  if (typeof fd !== "number") {
    if (fd !== "EACCES") return; // ENXIO: nobody reads it; ENOENT: just removed
    throw new Deno.errors.PermissionDenied(
      `${what}: another user's FIFO is there`,
    );
  }
  closeDescriptor(fd);
  throw new Deno.errors.Busy(
    `${what}: a process reads the FIFO at the path, stop it or use another path`,
  );
}

/**
 * Makes the FIFO in a private directory, sets its mode past the umask, and puts
 * it in its place by `place`. `undefined` where that is taken.
 */
export function create(
  path: string,
  mode: number,
  what: string,
  place: (from: string, to: string) => void,
): Deno.FileInfo | undefined {
  const slash = path.lastIndexOf("/");
  const directory = path.slice(0, slash + 1);
  const hidden = `${directory}.${crypto.randomUUID().slice(0, 13)}`;
  try {
    Deno.mkdirSync(hidden, { mode: 0o700 });
  } catch (error) {
    throw explainDirectory(error, what, directory || ".");
  }
  const made = `${hidden}/f`;
  try {
    makeFifo(made, mode, what);
    Deno.chmodSync(made, mode);
    const own = Deno.lstatSync(made);
    place(made, path);
    return own;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return undefined;
    throw error;
  } finally {
    // One by one, as to look into a directory takes a descriptor.
    removeQuietly(made); // gone, if it was renamed
    removeQuietly(hidden);
  }
}

/** Removes a file that another may have removed already. */
export function removeQuietly(path: string): void {
  try {
    Deno.removeSync(path);
  } catch { // gone, or not ours to remove
  }
}

function explainDirectory(
  error: unknown,
  what: string,
  directory: string,
): unknown {
  for (
    const [ErrorClass, reason] of [
      [Deno.errors.NotFound, "does not exist"],
      [Deno.errors.PermissionDenied, "can't be written to"],
      [Deno.errors.NotADirectory, "is no directory"],
    ] as const
  ) {
    if (error instanceof ErrorClass) {
      return new ErrorClass(`${what}: the directory ${directory} ${reason}`, {
        cause: error,
      });
    }
  }
  return error;
}
