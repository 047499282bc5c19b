// Checks what `deno publish` would publish, on a copy: the stand-ins for
// `@std/*` have to lie outside the package, or they would count as part of it.
// Run: deno task check:publish

import { packageCopy } from "./_package_copy.ts";

await using copy = await packageCopy({ links: true });
const { code } = await new Deno.Command(Deno.execPath(), {
  args: ["publish", "--dry-run", "--allow-dirty"],
  cwd: copy.path,
}).spawn().status;
Deno.exitCode = code;
