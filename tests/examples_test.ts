// The list of examples is complete, and names none that is not there.

import { assertEquals } from "@std/assert";
import { hasProgram, temporaryDirectory } from "./_tools.ts";

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

const linux = Deno.build.os === "linux";
for (
  const [name, runs] of Object.entries({
    delivery_jobs: true,
    delivery_reconnect: true,
    fifo_log_collector: linux,
    log_analysis: linux && hasProgram("awk"),
    rpc_language_server: true,
    rpc_neovim: hasProgram("nvim"),
    zero_downtime: linux,
  })
) {
  Deno.test({
    name: `examples/${name}.ts leaves nothing behind`,
    ignore: Deno.build.os === "windows" || !runs,
    async fn() {
      await using directory = await temporaryDirectory();
      const { code } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", new URL(`${name}.ts`, examples).pathname],
        env: { TMPDIR: directory.path },
        stdout: "null",
        stderr: "inherit",
      }).output();
      assertEquals(code, 0);
      assertEquals([...Deno.readDirSync(directory.path)], []);
    },
  });
}
