// Whether the directory of a listener's path can be trusted: of a socket, a FIFO.

/** Throws where the directory of `path` is missing, or it or one above is anybody's. */
export async function checkDirectory(
  what: string,
  path: string,
  kind: "socket" | "FIFO",
  allowUnsafe: boolean,
): Promise<void> {
  const slash = path.lastIndexOf("/");
  const directory = slash < 0 ? "." : path.slice(0, slash) || "/";
  let info: Deno.FileInfo;
  try {
    info = await Deno.stat(directory);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Deno.errors.NotFound(
      `${what}: the directory ${directory} does not exist`,
      { cause: error },
    );
  }
  if (!info.isDirectory) {
    throw new Deno.errors.NotADirectory(
      `${what}: ${directory} is no directory`,
    );
  }
  if (allowUnsafe) return;
  for (const above of new Set([directory, ...await foldersAbove(directory)])) {
    if (above !== directory) info = await Deno.stat(above);
    const mode = info.mode ?? 0;
    // Without the sticky bit, whoever may write there may replace what is in it:
    // the file, or a folder on the way to it.
    if ((mode & 0o002) === 0 || (mode & 0o1000) !== 0) continue;
    throw new Deno.errors.PermissionDenied(
      `${what}: any user can write to ${above} (mode ` +
        `${(mode & 0o7777).toString(8)}) and replace the ${kind}, use a ` +
        `directory of your own or set allowUnsafeDirectory`,
    );
  }
}

/** The folders on the way to `directory`, of those that may be looked at. */
async function foldersAbove(directory: string): Promise<string[]> {
  const folders: string[] = [];
  // A symbolic link counts with where it is and where it leads to.
  for (const path of [directory, await Deno.realPath(directory)]) {
    for (let end = path.lastIndexOf("/"); end >= 0;) {
      folders.push(path.slice(0, end) || "/");
      end = end === 0 ? -1 : path.lastIndexOf("/", end - 1);
    }
  }
  return folders.filter((path) =>
    Deno.permissions.querySync({ name: "read", path }).state === "granted"
  );
}
