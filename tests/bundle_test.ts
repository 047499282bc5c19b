// What is published is bundled: it has to look as the sources do.

import { assert, assertEquals } from "@std/assert";
import { packageCopy } from "../tasks/_package_copy.ts";

/** Runs code on the package as it is published; what it prints, as JSON. */
async function evaluate(code: string): Promise<unknown> {
  await using copy = await packageCopy({ links: true, bundled: true });
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", code],
    cwd: copy.path,
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test("bundled classes keep their names", async () => {
  const [count, renamed] = await evaluate(`
    const all = await import("./dist/mod.js");
    const renamed = Object.entries(all).filter(([name, value]) =>
      /^[A-Z]/.test(name) && value.name !== name
    ).map(([name, value]) => [name, value.name]);
    console.log(JSON.stringify([Object.keys(all).length, renamed]));
  `) as [number, string[]];
  assert(count > 80);
  assertEquals(renamed, []);
});

Deno.test("bundled classes of libraries keep their names", async () => {
  const name = await evaluate(`
    Deno.statSync("dist/_libraries.js"); // as LICENSE-THIRD-PARTY has it
    const { msgpack } = await import("./dist/mod.js");
    let name;
    try {
      msgpack.decode(new Uint8Array([0xc1]));
    } catch (error) {
      name = error.cause?.name ?? error.name;
    }
    console.log(JSON.stringify(name));
  `);
  assert(/^[A-Z]\w*Error$/.test(String(name)), String(name));
});

Deno.test("importing the package loads nothing that the runtime loads on demand", async () => {
  // Each of these takes the runtime 2 to 12 ms when it is first named.
  const named = await evaluate(`
    const named = [];
    for (const name of [
      "ReadableStream", "WritableStream", "TransformStream",
      "WritableStreamDefaultWriter", "Event", "process", "Buffer",
      "setTimeout", "setInterval", "setImmediate", "Request", "Response",
    ]) {
      const { get, value } = Object.getOwnPropertyDescriptor(globalThis, name);
      Object.defineProperty(globalThis, name, {
        configurable: true,
        get() {
          named.push(name);
          return get ? get.call(globalThis) : value;
        },
      });
    }
    await import("./dist/mod.js");
    console.log(JSON.stringify([...new Set(named)]));
  `);
  assertEquals(named, []);
});
