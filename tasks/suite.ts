// The suite with the examples of the docs. Fails as well where a process is left
// behind (on Linux). Run: deno task test [argument of deno test ...]

import { temporary } from "./_temporary.ts";

Deno.addSignalListener("SIGINT", () => {}); // `deno test` has it too, and ends
await using directory = await temporary();
const { code } = await new Deno.Command(Deno.execPath(), {
  args: ["test", "-A", "--doc", ...Deno.args],
  env: directory.env,
}).spawn().status;
const left = leftBehind(directory.env.TMPDIR);
for (const process of left) console.error(`Left behind: ${process}`);
Deno.exitCode = code || (left.length > 0 ? 1 : 0);

/** The processes that still have the variables of this run. */
function leftBehind(path: string): string[] {
  if (Deno.build.os !== "linux") return [];
  const found: string[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const read = (file: string) =>
        Deno.readTextFileSync(`/proc/${name}/${file}`).replaceAll("\0", " ");
      if (read("environ").includes(`TMPDIR=${path} `)) {
        found.push(`${name} ${read("cmdline")}`);
      }
    } catch { // gone, or another user's
    }
  }
  return found;
}
