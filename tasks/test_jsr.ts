// Runs the suite on the real `@std/*` packages, without the stand-ins in
// `_std/`. Needs JSR. Run: deno task test:jsr

import { packageCopy } from "./_package_copy.ts";

await using copy = await packageCopy({ links: false });
const { code } = await new Deno.Command(Deno.execPath(), {
  args: ["test", "-A", "--doc", "--no-lock", ...Deno.args],
  cwd: copy.path,
}).spawn().status;
Deno.exitCode = code;
