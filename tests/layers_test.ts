// The import rules of the design, "The house": who may import what.

import { assert, assertEquals } from "@std/assert";

const root = new URL("..", import.meta.url);

/** The layers: what each folder, or file of the root, may import from. */
const LAYERS: Record<string, readonly string[]> = {
  "duplex.ts": [],
  "_async": ["duplex.ts"],
  "_libc": ["duplex.ts", "_async"],
  "_transport": ["duplex.ts", "_async", "_libc"],
  "framing": ["duplex.ts", "_async"],
  "nats": ["duplex.ts", "_async", "_libc", "_transport"],
  "pipe": ["duplex.ts", "_async", "_libc", "_transport"],
  "socket": ["duplex.ts", "_async", "_libc", "_transport"],
  "tcp": ["duplex.ts", "_async", "_libc", "_transport"],
  // The rendezvous and the doorbell of shared memory are a Unix socket.
  "shm": ["duplex.ts", "_async", "_libc", "_transport", "socket"],
  "rpc": ["duplex.ts", "_async", "framing"],
  // What stands on framing and transports alike: it takes any of them.
  "delivery": ["duplex.ts", "_async", "framing"],
  "observe": ["duplex.ts", "_async", "framing"],
};

interface Import {
  /** Relative to the root. */
  file: string;
  target: string;
}

function* sources(directory = ""): Generator<string> {
  for (const entry of Deno.readDirSync(new URL(directory || ".", root))) {
    const path = `${directory}${entry.name}`;
    if (entry.isDirectory && `${directory}${entry.name}` in LAYERS) {
      yield* sources(`${path}/`);
    } else if (entry.isFile && path.endsWith(".ts")) yield path;
  }
}

function importsOf(file: string): Import[] {
  const text = Deno.readTextFileSync(new URL(file, root))
    .replace(/^\s*(\*|\/\/).*$/gm, ""); // examples import the package by name
  const specifiers = text.matchAll(
    /(?:\bfrom\s+|\bimport\s*\(\s*|\bimport\s+)["'`]([^"'`]+)["'`]/g,
  );
  return [...specifiers].map(([, specifier]) => ({
    file,
    target: specifier.startsWith(".")
      ? new URL(specifier, new URL(file, root)).href.slice(root.href.length)
      : specifier,
  }));
}

const files = [...sources()];
const imports = files.flatMap(importsOf);
const layerOf = (path: string) => path.split("/")[0];
const show = ({ file, target }: Import) => `${file} imports ${target}`;

Deno.test("layers: every folder imports only from the layers below it", () => {
  assert(imports.length > 20, "found too few imports to be true");
  const broken = imports.filter(({ file, target }) => {
    const from = layerOf(file);
    const to = layerOf(target);
    if (!(from in LAYERS) || from === to) return false;
    if (!target.includes(".ts")) return false; // npm:, jsr:, node:
    return !LAYERS[from].includes(to);
  });
  assertEquals(broken.map(show), []);
});

Deno.test("layers: nothing imports the root's mod.ts", () => {
  assertEquals(imports.filter(({ target }) => target === "mod.ts"), []);
});

Deno.test("layers: only framing imports a codec, and none imports @std/assert", () => {
  const allowed: Record<string, readonly string[]> = {
    nats: ["@nats-io/nats-core", "@nats-io/nats-core/internal"],
    framing: ["@msgpack/msgpack", "@std/bytes", "@std/msgpack", "@std/streams"],
  };
  const broken = imports.filter(({ file, target }) =>
    /^(@|npm:|jsr:)/.test(target) &&
    !(allowed[layerOf(file)] ?? ["@std/bytes", "@std/streams"]).includes(target)
  );
  assertEquals(broken.map(show), []);
});

Deno.test("layers: only _libc opens a dynamic library", () => {
  assertEquals(
    files.filter((file) =>
      !file.startsWith("_libc/") &&
      /\bDeno\.dlopen\b/.test(Deno.readTextFileSync(new URL(file, root)))
    ),
    [],
  );
});

Deno.test("layers: framing, rpc, delivery and _async call no Deno API", () => {
  assertEquals(
    files.filter((file) =>
      /^(framing|rpc|delivery|_async)\//.test(file) &&
      /\bDeno\./.test(
        Deno.readTextFileSync(new URL(file, root))
          .replace(/^\s*(\*|\/\/).*$/gm, ""),
      )
    ),
    [],
  );
});

/** Every program of the repository, also those that stand on the package. */
function* programs(directory = ""): Generator<string> {
  for (
    const { name, isDirectory } of Deno.readDirSync(
      new URL(directory || ".", root),
    )
  ) {
    if (isDirectory && !/^(\.|node_modules$)/.test(name)) {
      yield* programs(`${directory}${name}/`);
    } else if (/\.(ts|mjs)$/.test(name)) yield `${directory}${name}`;
  }
}

Deno.test("layers: no program takes a URL's pathname for a path", () => {
  const all = [...programs()];
  assert(all.length > files.length, "found too few programs to be true");
  // It has %20 for a blank, and on Windows a slash before the drive.
  const broken = all.filter((file) =>
    /import\.meta\.url\)\s*\.pathname/.test(
      Deno.readTextFileSync(new URL(file, root)),
    )
  );
  assertEquals(broken, []);
});

Deno.test("layers: there is no cycle of imports", () => {
  const graph = Map.groupBy(
    imports.filter(({ target }) => files.includes(target)),
    ({ file }) => file,
  );
  const done = new Set<string>();
  const visit = (file: string, path: string[]) => {
    if (path.includes(file)) throw new Error([...path, file].join(" -> "));
    if (done.has(file)) return;
    for (const { target } of graph.get(file) ?? []) {
      visit(target, [...path, file]);
    }
    done.add(file);
  };
  for (const file of files) visit(file, []);
});

Deno.test("layers: importing the package needs no permission", async () => {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", new URL("mod.ts", root).href],
    clearEnv: false,
    stdout: "null",
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
});
