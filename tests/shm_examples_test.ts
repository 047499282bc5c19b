import { assert, assertEquals } from "@std/assert";
import { hasProgram, noShm } from "./_shm.ts";

for (
  const [name, expected] of [
    ["ring", "1000000 records, sum 499999500000"],
    ["struct", "the child wrote 200000 times"],
    ["python", "shared -> DERAHS\nmemory -> YROMEM\nis fast -> TSAF SI"],
  ]
) {
  Deno.test(`examples/shm_${name}.ts runs as it is`, {
    // Python has no fences: see the example.
    ignore: noShm ||
      name === "python" &&
        (!hasProgram("python3") || Deno.build.arch !== "x86_64"),
  }, async () => {
    const example = new URL(`../examples/shm_${name}.ts`, import.meta.url);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-ffi", "--allow-run", example.pathname],
    }).output();
    const text = new TextDecoder();
    assertEquals(code, 0, text.decode(stderr));
    assert(text.decode(stdout).startsWith(expected), text.decode(stdout));
  });
}
