// The list of examples is complete, and names none that is not there.

import { assertEquals } from "@std/assert";

const examples = new URL("../examples/", import.meta.url);

Deno.test("examples: README.md lists every one, once", async () => {
  const text = await Deno.readTextFile(new URL("README.md", examples));
  const listed = [...text.matchAll(/^\| \[([^\]]+)\]\(([^)]+)\)/gm)];
  for (const [, name, link] of listed) assertEquals(link, name);
  const found = [...Deno.readDirSync(examples)].map(({ name }) => name);
  assertEquals(
    listed.map(([, name]) => name).sort(),
    found.filter((name) => name !== "README.md").sort(),
  );
});

Deno.test("examples: README.md starts each by its own name", async () => {
  const text = await Deno.readTextFile(new URL("README.md", examples));
  const rows = text.matchAll(/\]\(([^)]+)\).*`((?:deno|python3) [^`]+)`/g);
  let count = 0;
  for (const [, name, command] of rows) {
    const [, program] = /(\S+\.(?:ts|py))/.exec(command)!;
    assertEquals(program, `examples/${name}`);
    count++;
  }
  assertEquals(count > 10, true);
});
