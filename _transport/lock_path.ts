// A lock file around probing, replacing and removing a path: of a socket, a FIFO.

import { sleep } from "../_async/wait.ts";
import { isSameFile } from "./same_file.ts";

/** How often a lock that another starter holds is asked for again, in ms. */
const LOCK_PAUSE = 5;
/** How long to wait for it, in ms: its holder needs a few. */
const LOCK_TIMEOUT = 10_000;

/** Holds `<path>.lock` by flock(2); disposing removes the file. */
export async function lockPath(
  what: string,
  path: string,
  signal: AbortSignal | undefined,
): Promise<Disposable> {
  const lock = `${path}.lock`;
  const started = performance.now();
  for (;;) {
    signal?.throwIfAborted();
    const file = await openLock(what, lock);
    try {
      // Its holder removes the file, and a lock on a removed one locks nothing.
      if (file.tryLockSync(true) && await isAt(file, lock)) {
        return { [Symbol.dispose]: () => unlock(file, lock) };
      }
    } catch (error) {
      file.close();
      throw error;
    }
    file.close();
    if (performance.now() - started > LOCK_TIMEOUT) {
      throw new Deno.errors.Busy(
        `${what}: another process has held ${lock} for ${LOCK_TIMEOUT} ms`,
      );
    }
    await sleep(LOCK_PAUSE, signal);
  }
}

async function openLock(what: string, lock: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(lock, {
      read: true,
      write: true,
      create: true,
      mode: 0o600,
    });
  } catch (error) {
    if (!(error instanceof Error) || error instanceof Deno.errors.NotCapable) {
      throw error;
    }
    const ErrorClass = error.constructor as ErrorConstructor;
    throw new ErrorClass(
      `${what}: no file can be made in its directory: ${error.message}`,
      { cause: error },
    );
  }
}

function unlock(file: Deno.FsFile, lock: string): void {
  try {
    Deno.removeSync(lock);
  } catch { // its directory is gone, and the lock with it
  }
  file.close();
}

async function isAt(file: Deno.FsFile, path: string): Promise<boolean> {
  const [held, named] = await Promise.all([
    file.stat(),
    Deno.lstat(path).catch(() => undefined),
  ]);
  return isSameFile(held, named);
}
