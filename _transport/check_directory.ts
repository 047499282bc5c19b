// Whether the directory of a listener's path can be trusted: of a socket, a FIFO.

/** Throws where the directory of `path` is missing, or is anybody's. */
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
  const mode = info.mode ?? 0;
  // Without the sticky bit, whoever may write there may replace the file.
  if (!allowUnsafe && (mode & 0o002) !== 0 && (mode & 0o1000) === 0) {
    throw new Deno.errors.PermissionDenied(
      `${what}: any user can write to ${directory} (mode ` +
        `${(mode & 0o7777).toString(8)}) and replace the ${kind}, use a ` +
        `directory of your own or set allowUnsafeDirectory`,
    );
  }
}
