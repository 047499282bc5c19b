// What importing the package adds to the start of an empty program, in turns,
// median of several: as it is published, which is bundled, and from a checkout.
//
//   deno run -A bench/import_time.ts [rounds]

import { fileURLToPath } from "node:url";
import { packageCopy } from "../tasks/_package_copy.ts";

const rounds = Number(Deno.args[0] ?? 41);
const root = new URL("..", import.meta.url);
await using published = await packageCopy({ links: true, bundled: true });
const directory = await Deno.makeTempDir();
const modules = ["mod", "framing/mod", "rpc/mod", "shm/mod", "socket/mod"];

interface Program {
  name: string;
  /** What to run it with. */
  args: string[];
  results: number[];
}

/** A program that only imports `module` of the package at `home`, if any. */
async function write(
  name: string,
  { home, module }: { home: string; module?: string },
): Promise<Program> {
  const path = `${directory}/${name.replace(/\W/g, "_")}.ts`;
  const text = module === undefined ? "" : `import "${home}/${module}";`;
  await Deno.writeTextFile(path, text);
  const args = ["run", "--no-check", "--config", `${home}/deno.json`, path];
  return { name, args, results: [] };
}

async function run({ args }: Program): Promise<number> {
  const started = performance.now();
  const { success } = await new Deno.Command(Deno.execPath(), {
    args,
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`Cannot run ${args.join(" ")}`);
  return performance.now() - started;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

try {
  const checkout = fileURLToPath(root).slice(0, -1);
  const programs = [await write("an empty program", { home: checkout })];
  for (const name of modules) {
    programs.push(
      await write(`published ${name}`, {
        home: published.path,
        module: `dist/${name}.js`,
      }),
      await write(`checkout ${name}`, {
        home: checkout,
        module: `${name}.ts`,
      }),
    );
  }
  for (const program of [...programs, ...programs]) await run(program); // fills the caches
  for (let round = 0; round < rounds; round++) {
    for (const program of programs) {
      program.results.push(await run(program));
    }
  }
  const empty = median(programs[0].results);
  console.log(`Start of a program, median of ${rounds}`);
  for (const { name, results } of programs) {
    const own = median(results);
    console.log(
      name.padEnd(24),
      `${own.toFixed(1)} ms`.padStart(10),
      `+${(own - empty).toFixed(1)} ms`.padStart(10),
    );
  }
} finally {
  await Deno.remove(directory, { recursive: true });
}
