// What is published is bundled: it has to look as the sources do.

import { assert, assertEquals } from "@std/assert";
import { packageCopy } from "../tasks/_package_copy.ts";

Deno.test("bundled classes keep their names", async () => {
  await using copy = await packageCopy({ links: true, bundled: true });
  const names = `
    const all = await import("./dist/mod.js");
    const renamed = Object.entries(all).filter(([name, value]) =>
      /^[A-Z]/.test(name) && value.name !== name
    ).map(([name, value]) => [name, value.name]);
    console.log(JSON.stringify([Object.keys(all).length, renamed]));
  `;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", names],
    cwd: copy.path,
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  const [count, renamed] = JSON.parse(new TextDecoder().decode(stdout));
  assert(count > 80);
  assertEquals(renamed, []);
  for await (const entry of Deno.readDir(`${copy.path}/dist`)) {
    if (!entry.isFile) continue;
    const text = await Deno.readTextFile(`${copy.path}/dist/${entry.name}`);
    assert(!/= class _\w/.test(text), entry.name);
  }
});
