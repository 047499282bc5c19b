// What is published runs from few files: loading 300 small modules costs a
// program three times as much. The TypeScript sources are published beside them,
// for types, docs and reading.

import { fileURLToPath } from "node:url";

/** Where the files go, inside the package. */
const DIRECTORY = "dist";

/** Entry points that are not exported: what a module of ours starts by itself. */
const STARTED = ["./_measure_peer.ts"];

/** What goes along of other libraries: see LICENSE-THIRD-PARTY. */
const LIBRARIES = {
  "@msgpack/msgpack":
    "Decoder, decodeTimestampExtension, Encoder, encodeTimestampExtension, ExtData",
  "@std/msgpack": "decode, encode",
};

/** What `_bundler.ts` bundles. */
export interface Bundle {
  /** The package. */
  path: string;
  /** The entry points, from there. */
  sources: string[];
  /** Where the files go, from there. */
  directory: string;
  /** The file of a library, for each that goes along. */
  libraries: Record<string, string>;
}

/**
 * Bundles the entry points of the package at `path`, a copy: makes its exports
 * the bundled ones, which take their types from the sources.
 */
export async function bundle(path: string): Promise<void> {
  const config = JSON.parse(await Deno.readTextFile(`${path}/deno.json`));
  const exported = Object.values<string>(config.exports);
  const libraries = await bundleLibraries(path);
  const options: Bundle = {
    path,
    sources: [...exported, ...STARTED],
    directory: DIRECTORY,
    libraries: Object.fromEntries(
      Object.keys(LIBRARIES).map((name) => [name, libraries]),
    ),
  };
  const bundler = fileURLToPath(new URL("_bundler.ts", import.meta.url));
  await run(path, [
    ...["run", "-A", "--quiet", "--no-check", "--no-config", "--no-lock"],
    ...[bundler, JSON.stringify(options)],
  ]);
  await Deno.remove(libraries);
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

/** What is used of the libraries, as one file: Deno knows where they are. */
async function bundleLibraries(path: string): Promise<string> {
  const source = `${path}/_libraries.ts`;
  const bundled = `${path}/_libraries.js`;
  const lines = Object.entries(LIBRARIES).map(([name, names]) =>
    `export { ${names} } from "${name}";\n`
  );
  await Deno.writeTextFile(source, lines.join(""));
  await run(path, ["bundle", "--quiet", `--output=${bundled}`, source]);
  await Deno.remove(source);
  await restoreNames(bundled);
  return bundled;
}

/**
 * This bundler calls a class that names itself `_DecodeError`, which is what
 * logs and stack traces then say. No other thing in the file has that name.
 */
async function restoreNames(path: string): Promise<void> {
  let text = await Deno.readTextFile(path);
  for (const [, name] of text.matchAll(/^var (\w+) = class _\1\b/gm)) {
    text = text.replace(new RegExp(`\\b_${name}\\b`, "g"), name);
  }
  await Deno.writeTextFile(path, text);
}

/** Runs this Deno in the package. */
async function run(path: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: path,
  }).output();
  if (!success) {
    throw new Error(`Cannot bundle: ${new TextDecoder().decode(stderr)}`);
  }
}
