// What needs no pair of peers: the shell's pipes, start-up, the RPC packages.

import { fileURLToPath } from "node:url";
import { pipeline } from "../../pipe/mod.ts";
import { packageCopy } from "../../tasks/_package_copy.ts";
import type { OTHERS } from "./contenders.ts";
import { type Spread, spread } from "./results.ts";
import { pinned } from "./run.ts";

const root = new URL("../../", import.meta.url);

/** By title and contender. */
type Group = Record<string, Record<string, Spread>>;

/** How often each is measured. */
interface OthersOptions {
  rounds: number;
  /** Shorter work, for a first look. */
  quick: boolean;
}

/** 10^6 bytes a second through a pipe between two programs. */
export async function measurePipes(
  { rounds, quick }: OthersOptions,
): Promise<Group> {
  const bytes = quick ? 256 * 2 ** 20 : 2 ** 31;
  const ways: Record<string, () => Promise<unknown>> = {
    "sh: head | wc": () =>
      new Deno.Command("sh", {
        args: ["-c", `head -c ${bytes} /dev/zero | wc -c`],
        stdout: "null",
      }).output(),
    "sluice pipeline: head | wc": () =>
      pipeline(["head", "-c", String(bytes), "/dev/zero"], ["wc", "-c"]).text(),
  };
  const rates = await inTurn(ways, rounds, (seconds) => bytes / seconds / 1e6);
  return { "MB/s": rates };
}

/** Milliseconds from start to end of a program. */
export async function measureStart({ rounds }: OthersOptions): Promise<Group> {
  await using published = await packageCopy({ links: true, bundled: true });
  const directory = await Deno.makeTempDir();
  try {
    const checkout = fileURLToPath(root).slice(0, -1);
    const scripts = {
      "an empty program": { home: checkout, source: "" },
      "importing @sluice/ipc, as published": {
        home: published.path,
        source: `import "${published.path}/dist/mod.js";`,
      },
      "importing @sluice/ipc from a checkout": {
        home: checkout,
        source: `import "${checkout}/mod.ts";`,
      },
    };
    const ways: Record<string, () => Promise<unknown>> = {};
    for (const [name, { home, source }] of Object.entries(scripts)) {
      const path = `${directory}/${Object.keys(ways).length}.ts`;
      await Deno.writeTextFile(path, source);
      const [command, ...args] = pinned(0, [
        Deno.execPath(),
        "run",
        "--no-check",
        `--config=${home}/deno.json`,
        path,
      ]);
      ways[name] = () => new Deno.Command(command, { args }).output();
    }
    return { "ms": await inTurn(ways, rounds * 4, (seconds) => seconds * 1e3) };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Calls a second, of `bench/rpc_rivals.ts`. */
export async function measureRpc(): Promise<Group> {
  const script = fileURLToPath(new URL("bench/rpc_rivals.ts", root));
  const [command, ...args] = pinned(0, [
    Deno.execPath(),
    "run",
    "-A",
    "--no-check",
    script,
  ]);
  const { stdout, success } = await new Deno.Command(command, {
    args,
    stderr: "inherit",
  }).output();
  if (!success) throw new Error("bench/rpc_rivals.ts failed");
  const group: Group = {};
  let title = "";
  for (const line of new TextDecoder().decode(stdout).split("\n")) {
    const figure = /^ {2}(.+): (\d+)\/s$/.exec(line);
    if (figure === null) title = line.trim();
    else (group[title] ??= {})[figure[1]] = spread([Number(figure[2])]);
  }
  return group;
}

/** Runs all ways in turn, `rounds` times after one that warms up. */
async function inTurn(
  ways: Record<string, () => Promise<unknown>>,
  rounds: number,
  figure: (seconds: number) => number,
): Promise<Record<string, Spread>> {
  const values: Record<string, number[]> = {};
  for (let round = 0; round <= rounds; round++) {
    for (const [name, run] of Object.entries(ways)) {
      const start = performance.now();
      await run();
      const seconds = (performance.now() - start) / 1000;
      if (round > 0) (values[name] ??= []).push(figure(seconds));
    }
  }
  return Object.fromEntries(
    Object.entries(values).map(([name, figures]) => [name, spread(figures)]),
  );
}

/** Every group, with its contenders as the inventory has them. */
export const MEASURES: Record<
  keyof typeof OTHERS,
  (options: OthersOptions) => Promise<Group>
> = {
  pipes: measurePipes,
  start: measureStart,
  rpc: measureRpc,
};
