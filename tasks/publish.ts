// Publishes a bundled copy without the stand-ins in `_std/`, on a tag that names
// the version in deno.json. Run by the publish workflow: deno run -A tasks/publish.ts

import config from "../deno.json" with { type: "json" };
import { packageCopy } from "./_package_copy.ts";

const tag = Deno.env.get("GITHUB_REF_NAME");
if (tag !== `v${config.version}`) {
  console.error(`Cannot publish ${config.version}: the tag is ${tag}`);
  Deno.exit(1);
}
await using copy = await packageCopy({ links: false, bundled: true });
// deno.json of the copy lacks `links`: git would call it changed.
const { code } = await new Deno.Command(Deno.execPath(), {
  args: ["publish", "--allow-dirty"],
  cwd: copy.path,
}).spawn().status;
Deno.exitCode = code;
