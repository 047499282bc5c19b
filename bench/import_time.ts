// What importing the package adds to the start of an empty program, in turns,
// median of several.
//
//   deno run -A bench/import_time.ts [rounds]

const rounds = Number(Deno.args[0] ?? 41);
const root = new URL("..", import.meta.url);
const directory = await Deno.makeTempDir();
const modules = [
  ["mod.ts", "the whole package"],
  ["framing/mod.ts", "framing"],
  ["rpc/mod.ts", "rpc"],
  ["shm/mod.ts", "shm"],
  ["socket/mod.ts", "socket"],
  ["tcp/mod.ts", "tcp"],
] as const;

interface Program {
  name: string;
  path: string;
  results: number[];
}

async function write(name: string, text: string): Promise<Program> {
  const path = `${directory}/${name.replace(/\W/g, "_")}.ts`;
  await Deno.writeTextFile(path, text);
  return { name, path, results: [] };
}

async function run(path: string): Promise<number> {
  const started = performance.now();
  await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--config", `${root.pathname}deno.json`, path],
    stderr: "inherit",
  }).output();
  return performance.now() - started;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

try {
  const programs = [await write("an empty program", "")];
  for (const [module, name] of modules) {
    programs.push(
      await write(name, `import "${new URL(module, root).href}";`),
    );
  }
  for (const { path } of programs) await run(path); // fills the caches
  for (let round = 0; round < rounds; round++) {
    for (const program of programs) {
      program.results.push(await run(program.path));
    }
  }
  const empty = median(programs[0].results);
  console.log(`Start of a program, median of ${rounds}`);
  for (const { name, results } of programs) {
    const own = median(results);
    console.log(
      name.padEnd(20),
      `${own.toFixed(1)} ms`.padStart(10),
      `+${(own - empty).toFixed(1)} ms`.padStart(10),
    );
  }
} finally {
  await Deno.remove(directory, { recursive: true });
}
