// Everything that can be checked without running the suite: format, lint,
// types, doc lint over every export, the examples of the docs, and what would
// be published. Run: deno task check [step ...]

import config from "../deno.json" with { type: "json" };
import { temporary } from "./_temporary.ts";

const root = new URL("..", import.meta.url);
const exported = Object.values(config.exports);
const folders = exported.map((path) => path.slice(2).split("/")[0]);

/** What each step runs, with this Deno. */
const STEPS: Record<string, string[]> = {
  format: ["fmt", "--check"],
  lint: ["lint"],
  types: ["check", "--no-lock", "."], // that of what runs on its own stays out
  "doc-lint": ["doc", "--lint", ...exported],
  "doc-tests": [
    "test",
    "-A",
    "--doc",
    "--quiet",
    ...new Set([...folders, "_transport", "docs", "README.md"]),
  ],
  publish: ["run", "-A", "tasks/publish_check.ts"],
};

const wanted = Deno.args.length > 0 ? Deno.args : Object.keys(STEPS);
const failed: string[] = [];
for (const step of wanted) {
  if (!Object.hasOwn(STEPS, step)) {
    const known = Object.keys(STEPS).join(", ");
    console.error(`Unknown step ${JSON.stringify(step)}: expected ${known}`);
    Deno.exit(2);
  }
  await using directory = await temporary();
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: STEPS[step],
    cwd: root,
    env: directory.env,
  }).output();
  console.log(`${success ? "ok    " : "FAILED"} ${step}`);
  if (success) continue;
  failed.push(step);
  await Deno.stdout.write(stdout);
  await Deno.stderr.write(stderr);
}
if (failed.length > 0) {
  console.error(`Check failed: ${failed.join(", ")}`);
  Deno.exitCode = 1;
}
