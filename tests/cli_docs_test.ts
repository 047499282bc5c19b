// docs/cli.md: every command of a "console" block prints what the page says.

import { assert, assertEquals } from "@std/assert";
import { serve } from "../mod.ts";
import { CLI } from "./_cli.ts";
import { hasProgram, temporaryDirectory } from "./_tools.ts";

const page = new URL("../docs/cli.md", import.meta.url);

/** Each command with the output that follows it. */
function transcript(text: string): [command: string, output: string][] {
  const blocks = [...text.matchAll(/^```console\n(.*?)^```$/gms)];
  return blocks.flatMap(([, block]) =>
    block.split(/^\$ /m).slice(1).map((part): [string, string] => {
      const end = part.indexOf("\n");
      return [part.slice(0, end), part.slice(end + 1)];
    })
  );
}

Deno.test({
  name: "docs/cli.md: commands print what it says",
  ignore: !hasProgram("bash") || !hasProgram("tr"),
  async fn() {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    await using _server = await serve(`unix:${path}/math.sock`, {
      add: (a: number, b: number) => a + b,
      async *count(to: number) {
        for (let n = 1; n <= to; n++) yield n;
      },
      size: (data: Uint8Array) => data.length,
    });
    await Deno.writeTextFile(
      `${path}/sluice`,
      `#!/bin/sh\nexec '${Deno.execPath()}' run -A '${CLI}' "$@"\n`,
      { mode: 0o755 },
    );
    const steps = transcript(await Deno.readTextFile(page));
    assert(steps.length > 10, "found too few commands to be true");
    await Promise.all(steps.map(async ([command, expected]) => {
      const { stdout } = await new Deno.Command("bash", {
        args: ["-c", `{ ${command}; } </dev/null 2>&1`],
        cwd: path,
        env: { PATH: `${path}:${Deno.env.get("PATH")}`, NO_COLOR: "1" },
        stderr: "inherit",
      }).output();
      assertEquals(new TextDecoder().decode(stdout), expected, command);
    }));
  },
});

Deno.test("docs/cli.md: names every command, and no other", async () => {
  const text = await Deno.readTextFile(page);
  const table = [...text.matchAll(/^\| `([a-z]+)` /gm)].map(([, name]) => name);
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", CLI, "help"],
  }).output();
  const commands = [
    ...new TextDecoder().decode(stdout).matchAll(/^ {2}([a-z]+) {2,}/gm),
  ];
  assertEquals(table, commands.map(([, name]) => name));
});
