// The soak runs, and would tell of a loss. An hour of it is for people.

import { fileURLToPath } from "node:url";
import { assertEquals, assertMatch } from "@std/assert";

Deno.test("soak runs over a Unix socket and loses nothing", async () => {
  const script = fileURLToPath(new URL("../soak/main.ts", import.meta.url));
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", script, "--minutes", "0.05", "--only", "unix"],
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout);
  assertEquals(code, 0, text + new TextDecoder().decode(stderr));
  assertMatch(text, /unix +[1-9]\d* messages, .* [1-9]\d* kills/);
  assertMatch(text, /Nothing was lost, nothing grew/);
});
