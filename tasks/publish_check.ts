// Checks what `deno publish` would publish, on a bundled copy: that JSR would take
// it, and that the examples of its docs work on it. The stand-ins for `@std/*`
// lie outside the copy, or they would count as part of it.
// Run: deno task check:publish

import { packageCopy } from "./_package_copy.ts";

await using copy = await packageCopy({ links: true, bundled: true });
for (
  const args of [
    ["publish", "--dry-run", "--allow-dirty"],
    ["test", "-A", "--doc", "--quiet", "README.md", "docs"],
    ["run", "-A", "examples/choosing.ts"], // starts a module of ours
  ]
) {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: copy.path,
  }).spawn().status;
  if (code !== 0) Deno.exitCode = code;
}
