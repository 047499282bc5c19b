// What is published runs from few files: one chunk for what several entry points
// share. Loading 300 small modules costs a program three times as much. The
// TypeScript sources are published beside them, for types, docs and reading.

/** Where the chunks go, inside the package. */
const DIRECTORY = "dist";

/** Entry points that are not exported: what a module of ours starts by itself. */
const STARTED = ["./_measure_peer.ts"];

/**
 * Bundles the entry points of the package at `path`, a copy: makes its exports
 * the bundled ones, which take their types from the sources.
 */
export async function bundle(path: string): Promise<void> {
  const config = JSON.parse(await Deno.readTextFile(`${path}/deno.json`));
  const exported = Object.values<string>(config.exports);
  const packages = Object.keys(config.imports).map((name) =>
    `${name.split("/")[0]}/*`
  );
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--quiet",
      "--code-splitting",
      ...[...new Set(packages), "node:*"].map((name) => `--external=${name}`),
      `--outdir=${DIRECTORY}`,
      ...exported,
      ...STARTED,
    ],
    cwd: path,
  }).output();
  if (code !== 0) {
    throw new Error(`Cannot bundle: ${new TextDecoder().decode(stderr)}`);
  }
  await restoreNames(`${path}/${DIRECTORY}`);
  for (const [name, source] of Object.entries<string>(config.exports)) {
    const target = `./${DIRECTORY}/${source.slice(2).replace(/\.ts$/, ".js")}`;
    const up = "../".repeat(target.split("/").length - 2);
    const types = `/* @ts-self-types="${up}${source.slice(2)}" */\n`;
    const text = await Deno.readTextFile(`${path}/${target}`);
    await Deno.writeTextFile(`${path}/${target}`, types + text);
    config.exports[name] = target;
  }
  config.publish.include.push(`${DIRECTORY}/**/*.js`);
  await Deno.writeTextFile(`${path}/deno.json`, JSON.stringify(config));
}

/**
 * The bundler calls a class that names itself `_Ring`, which is what logs and
 * stack traces then say. No other thing in the chunk has that name.
 */
async function restoreNames(directory: string): Promise<void> {
  for await (const entry of Deno.readDir(directory)) {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory) await restoreNames(path);
    if (!entry.isFile) continue;
    let text = await Deno.readTextFile(path);
    for (const [, name] of text.matchAll(/^var (\w+) = class _\1\b/gm)) {
      text = text.replace(new RegExp(`\\b_${name}\\b`, "g"), name);
    }
    await Deno.writeTextFile(path, text);
  }
}
