// The files of a directory, all that lie below it.

import { MAX_FILE_SIZE } from "./_protocol.ts";

/** One file, whole. */
export interface SourceFile {
  /** Relative to the directory. */
  path: string;
  data: Uint8Array;
}

/** Folders of other programs' own; the demo says which of them it left out. */
const LEFT_OUT = new Set([".git", "node_modules"]);

/** Reads every regular file below `directory`, and tells what it leaves out. */
export async function readTree(
  directory: string,
): Promise<{ files: SourceFile[]; skipped: number; folders: string[] }> {
  const files: SourceFile[] = [];
  const folders = new Set<string>();
  let skipped = 0;
  const visit = async (prefix: string): Promise<void> => {
    for await (const entry of Deno.readDir(`${directory}/${prefix}`)) {
      const path = `${prefix}${entry.name}`;
      if (entry.isDirectory && LEFT_OUT.has(entry.name)) {
        folders.add(entry.name);
      } else if (entry.isDirectory) {
        await visit(`${path}/`);
      } else if (entry.isFile) {
        try {
          const full = `${directory}/${path}`;
          if ((await Deno.stat(full)).size > MAX_FILE_SIZE) skipped++;
          else files.push({ path, data: await Deno.readFile(full) });
        } catch {
          skipped++;
        }
      }
    }
  };
  await visit("");
  return { files, skipped, folders: [...folders] };
}
