// Serves over its own stdin and stdout. What it logs goes to stderr.

import { serve } from "../../mod.ts";

await using server = await serve("stdio:", {
  add(a: number, b: number) {
    console.log("adding");
    return a + b;
  },
  exit: (code: number) => Deno.exit(code),
});
await server.closed;
console.error(`bye from ${server.address}`);
