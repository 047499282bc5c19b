// The demo runs as the README says, over every transport that is here.

import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { schemes } from "../mod.ts";
import { temporaryDirectory } from "./_tools.ts";

Deno.test("demo gets equal answers over every transport", async () => {
  await using directory = await temporaryDirectory();
  await Deno.mkdir(`${directory.path}/below`);
  await Deno.writeTextFile(`${directory.path}/a.txt`, "one\ntwo\n");
  await Deno.writeFile(`${directory.path}/below/b`, new Uint8Array(100_000));
  await Deno.mkdir(`${directory.path}/.git`);
  await Deno.writeTextFile(`${directory.path}/.git/HEAD`, "not counted\n");
  const script = fileURLToPath(new URL("../demo/main.ts", import.meta.url));
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", script, "--quick", directory.path],
    stderr: "inherit",
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout);
  assertEquals(code, 0, text);
  assert(text.includes("2 files, 2 lines, 100008 bytes, without .git"), text);
  for (const scheme of schemes()) {
    if (scheme === "stdio") continue; // the worker's end of exec:
    assert(
      new RegExp(`^${scheme} +(equal|skipped: .*not there)`, "m").test(text),
      `no answer over ${scheme}:\n${text}`,
    );
  }
});

Deno.test("demo says that it can't read its directory", async () => {
  const script = fileURLToPath(new URL("../demo/main.ts", import.meta.url));
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", script, `${script}/none`],
  }).output();
  assertEquals(code, 1);
  assertStringIncludes(
    new TextDecoder().decode(stderr),
    `Cannot read ${script}/none: `,
  );
});
