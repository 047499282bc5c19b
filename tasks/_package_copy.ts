// A copy of the package for what must not see the stand-ins in `_std/`.

import { bundle } from "./_bundle.ts";

/** Options of {@linkcode packageCopy}. */
interface PackageCopyOptions {
  /**
   * Whether `@std/*` still resolves to the stand-ins, for where JSR can't be
   * reached.
   */
  links: boolean;
  /**
   * Whether its exports are bundled, as they are published.
   *
   * @default false
   */
  bundled?: boolean;
}

const root = new URL("..", import.meta.url);

/** Copies what git tracks, or would track, into a directory of its own. */
export async function packageCopy(
  { links, bundled = false }: PackageCopyOptions,
): Promise<AsyncDisposable & { path: string }> {
  const parent = await Deno.makeTempDir({ prefix: "sluice_package" });
  const path = `${parent}/package`;
  for (const file of await listFiles()) {
    const inside = links && file.startsWith("_std/") ? parent : path;
    const target = `${inside}/${file}`;
    await Deno.mkdir(target.slice(0, target.lastIndexOf("/")), {
      recursive: true,
    });
    await Deno.copyFile(new URL(file, root), target);
  }
  const config = JSON.parse(await Deno.readTextFile(`${path}/deno.json`));
  if (links) {
    config.links = config.links.map((link: string) => `.${link}`);
  } else delete config.links;
  await Deno.writeTextFile(`${path}/deno.json`, JSON.stringify(config));
  if (bundled) await bundle(path);
  return {
    path,
    [Symbol.asyncDispose]: () => Deno.remove(parent, { recursive: true }),
  };
}

async function listFiles(): Promise<string[]> {
  const { stdout } = await new Deno.Command("git", {
    args: ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    cwd: root,
    stderr: "inherit",
  }).output();
  return new TextDecoder().decode(stdout).split("\0").filter((file) =>
    file !== "" && !isGone(file)
  );
}

/** Whether git still lists a file that was just deleted. */
function isGone(file: string): boolean {
  try {
    Deno.lstatSync(new URL(file, root));
    return false;
  } catch {
    return true;
  }
}
