// Whether a path still leads to one's own file.

/**
 * Whether two looks at a path saw the same file. The number of an inode alone
 * does not tell: file systems give that of a removed file to the next one.
 */
export function isSameFile(
  a: Deno.FileInfo,
  b: Deno.FileInfo | undefined,
): boolean {
  return b !== undefined && a.ino === b.ino && a.dev === b.dev &&
    a.birthtime?.getTime() === b.birthtime?.getTime();
}
