import { checkInteger, checkOneOf } from "../_async/check.ts";
import { makeFifo, openEnd } from "../_libc/fifo.ts";
import { closeDescriptor } from "../_libc/pipe.ts";
import { lockPath } from "../_transport/lock_path.ts";
import { checkFifo, isSame } from "./_fifo_path.ts";

/** Options of {@linkcode mkfifo}. */
export interface MkfifoOptions {
  /**
   * Who may open it: reading and writing need the bits of their names. It is
   * right from the first moment that the path exists, whatever the umask.
   *
   * @default {0o600}
   */
  mode?: number;
  /**
   * What to do where the path exists:
   *
   * - `"error"`: throw `AlreadyExists`.
   * - `"reuse"`: take a FIFO that is there, with the mode it has. So two programs
   *   may start in either order.
   * - `"replace"`: put a new one in the place of a FIFO that nobody reads, such
   *   as a killed process leaves. Others that opened the old one keep that.
   *
   * What is no FIFO is never touched.
   *
   * @default {"error"}
   */
  ifExists?: "error" | "reuse" | "replace";
}

/** A FIFO's name in the file system, as {@linkcode mkfifo} made it. */
export class Fifo implements Disposable {
  /** The path as it was given. */
  readonly path: string;
  #own: Deno.FileInfo;

  /** @ignore Use {@linkcode mkfifo}. */
  constructor(path: string, own: Deno.FileInfo) {
    this.path = path;
    this.#own = own;
  }

  /**
   * Removes the file, if it is still this FIFO's: a newer one at the same path
   * stays. Ends that are open stay open. Calling it again does nothing.
   *
   * @returns Whether there was a file to remove.
   */
  remove(): boolean {
    try {
      if (!isSame(this.#own, Deno.lstatSync(this.path))) return false;
      Deno.removeSync(this.path);
      return true;
    } catch (error) {
      // The file or its whole directory is gone already.
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  /** {@linkcode Fifo.remove} */
  [Symbol.dispose](): void {
    this.remove();
  }
}

/**
 * Makes a FIFO, also called a named pipe: a pipe that programs find by its path.
 *
 * Requires `--allow-ffi`, and `--allow-read` and `--allow-write` for the path's
 * directory.
 *
 * Where the process is killed, the file stays: `ifExists` says what the next one
 * does with it.
 *
 * @param path Where. The directory has to exist and to allow hard links.
 * @param options The mode, and what to do where the path exists.
 * @returns The FIFO; disposing it removes the file.
 * @throws {Deno.errors.AlreadyExists} If the path exists, or is no FIFO.
 * @throws {Deno.errors.Busy} If it should be replaced and somebody reads it.
 * @throws {Deno.errors.NotFound} If the directory does not exist.
 * @throws {Deno.errors.PermissionDenied} If the directory's mode forbids it.
 * @throws {Deno.errors.NotCapable} Without `--allow-ffi`.
 * @throws {Deno.errors.NotSupported} On Windows.
 *
 * @example Removed at the end of the scope
 * ```ts
 * import { mkfifo } from "@sluice/ipc/pipe";
 * import { assertEquals } from "@std/assert";
 *
 * const path = `${await Deno.makeTempDir()}/events`;
 * {
 *   using fifo = await mkfifo(path, { mode: 0o622 }); // all may write
 *   assertEquals(Deno.statSync(fifo.path).isFifo, true);
 * }
 * ```
 */
export async function mkfifo(
  path: string,
  options: MkfifoOptions = {},
): Promise<Fifo> {
  const { mode = 0o600, ifExists = "error" } = options;
  checkFifo(`make the FIFO ${path}`, path);
  checkInteger("mode", mode, 0, 0o777);
  checkOneOf("ifExists", ifExists, ["error", "reuse", "replace"]);
  const what = `Cannot make the FIFO ${path}`;
  const before = lookAt(path);
  if (ifExists === "reuse" && before?.isFifo) return new Fifo(path, before);
  if (ifExists !== "replace" || before === undefined) {
    const made = create(path, mode, what, Deno.linkSync);
    if (made !== undefined) return new Fifo(path, made);
    const now = lookAt(path);
    if (ifExists === "reuse" && now?.isFifo) return new Fifo(path, now);
    if (ifExists !== "replace") throw exists(what, now);
  }
  using _lock = await lockPath(what, path, undefined);
  checkReplaceable(path, what);
  return new Fifo(path, create(path, mode, what, Deno.renameSync)!);
}

function lookAt(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function exists(what: string, info: Deno.FileInfo | undefined): Error {
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
  try {
    const made = `${hidden}/f`;
    makeFifo(made, mode, what);
    Deno.chmodSync(made, mode);
    const own = Deno.lstatSync(made);
    place(made, path);
    return own;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return undefined;
    throw error;
  } finally {
    Deno.removeSync(hidden, { recursive: true });
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
