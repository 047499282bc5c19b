// Binding a path so that its mode is right from the first moment, exactly one
// of several starters wins, and nobody's newer file is ever removed.

import { checkDirectory } from "../_transport/check_directory.ts";
import { lockPath } from "../_transport/lock_path.ts";
import { isSameFile } from "../_transport/same_file.ts";
import { checkLength } from "./_path.ts";

/** A bound path and what it takes to remove it later. */
export interface BoundPath {
  readonly listener: Deno.UnixListener;
  /** The path that the kernel knows, which is not the one peers use. */
  readonly boundPath: string;
  /** Closes the listener and removes the file if it is still ours. */
  release(): Promise<void>;
}

/** Binds in a private directory, sets the mode, then renames into place. */
export async function bindPath(
  path: string,
  address: string,
  mode: number,
  allowUnsafeDirectory: boolean,
  signal: AbortSignal | undefined,
): Promise<BoundPath> {
  const what = `Cannot listen on ${address}`;
  await checkDirectory(what, path, "socket", allowUnsafeDirectory);
  const name = randomName(6);
  checkLength("Cannot listen on", address, `${privateDirectory(path)}/${name}`);

  using _lock = await lockPath(what, path, signal);
  await checkNotLive(what, path);
  const temporary = await makePrivateDirectory(path);
  const boundPath = `${temporary}/${name}`;
  let listener: Deno.UnixListener | undefined;
  try {
    const bound = listener = Deno.listen({
      transport: "unix",
      path: boundPath,
    });
    await Deno.chmod(boundPath, mode);
    const own = await Deno.lstat(boundPath);
    await replace(what, boundPath, path);
    return {
      listener,
      boundPath,
      release() {
        bound.close();
        return removePath(path, address, own);
      },
    };
  } catch (error) {
    listener?.close();
    throw error;
  } finally {
    // One by one, as to look into a directory takes a descriptor.
    await removeQuietly(boundPath); // gone, if all went well
    await removeQuietly(temporary);
  }
}

/** Renames over a stale file, which the directory may keep for its owner. */
async function replace(what: string, from: string, to: string): Promise<void> {
  try {
    await Deno.rename(from, to);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.PermissionDenied)) throw cause;
    throw new Deno.errors.PermissionDenied(
      `${what}: the stale socket there is another user's and can't be ` +
        `replaced, use another path`,
      { cause },
    );
  }
}

// The names are short: they have to fit a socket address beside the user's path.

/** By FNV-1a of the path's last part, or with other letters in its place. */
function privateDirectory(path: string, letters?: string): string {
  const slash = path.lastIndexOf("/");
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(path.slice(slash + 1))) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  letters ??= (hash >>> 0).toString(36).padStart(4, "0").slice(-4);
  return `${path.slice(0, slash + 1)}.${letters}`;
}

/** Tells the sockets of this process apart that were bound for one path. */
function randomName(length: number): string {
  const [random] = crypto.getRandomValues(new Uint32Array(1));
  return random.toString(36).padStart(length, "0").slice(-length);
}

/** Always of the same name, so that what a killed starter left is found. */
async function makePrivateDirectory(path: string): Promise<string> {
  const directory = privateDirectory(path);
  try {
    await Deno.mkdir(directory, { mode: 0o700 });
    return directory;
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  const another = privateDirectory(path, randomName(4));
  await Deno.mkdir(another, { mode: 0o700 });
  await removeLeft(directory, another).catch(() => {}); // it is in nobody's way
  return another;
}

/** Removes a directory that was made as `own` was, and the sockets in it alone. */
async function removeLeft(directory: string, own: string): Promise<void> {
  const { isDirectory, uid } = await Deno.lstat(directory);
  // Another user's may become a link to anywhere while it is looked at.
  if (!isDirectory || uid !== (await Deno.lstat(own)).uid) return;
  for await (const { name } of Deno.readDir(directory)) {
    const file = `${directory}/${name}`;
    if ((await Deno.lstat(file)).isSocket) await Deno.remove(file);
  }
  await Deno.remove(directory);
}

/** What stays, the next starter removes. */
async function removeQuietly(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch { // it is not there
  }
}

/**
 * Removes the file of a listener that is closed, if it is still `own`: another
 * may have taken it for stale meanwhile.
 */
export async function removePath(
  path: string,
  address: string,
  own: Deno.FileInfo,
): Promise<void> {
  try {
    // A newer listener renames its file into place under the same lock.
    using _lock = await lockPath(`Cannot close ${address}`, path, undefined);
    if (isSameFile(own, await Deno.lstat(path))) await Deno.remove(path);
  } catch (error) {
    // The file or its whole directory is gone already.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Throws unless the path is free or its socket has no listener any more. */
async function checkNotLive(what: string, path: string): Promise<void> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  if (!info.isSocket) {
    throw new Deno.errors.AlreadyExists(
      `${what}: the path exists and is no socket, remove it or use another`,
    );
  }
  try {
    const probe = await Deno.connect({ transport: "unix", path });
    probe.close();
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) return; // stale
    if (error instanceof Deno.errors.NotFound) return; // just removed
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new Deno.errors.PermissionDenied(
        `${what}: another user's socket is there`,
        { cause: error },
      );
    }
    // Anything else, such as a full backlog, means that someone listens.
  }
  throw new Deno.errors.AddrInUse(
    `${what}: another process listens there, stop it or use another path`,
  );
}
