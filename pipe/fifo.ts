import { checkInteger, checkOneOf } from "../_async/check.ts";
import { lockPath } from "../_transport/lock_path.ts";
import { isSameFile } from "../_transport/same_file.ts";
import { checkReplaceable, create, exists, lookAt } from "./_fifo_file.ts";
import { checkFifo } from "./_fifo_path.ts";

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
      if (!isSameFile(this.#own, Deno.lstatSync(this.path))) return false;
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
