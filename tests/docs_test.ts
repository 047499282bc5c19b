// What holds the documents together: links lead somewhere, no page is out of
// reach, each export and each example is told of.

import { assert, assertEquals } from "@std/assert";
import config from "../deno.json" with { type: "json" };
import { startPeer, temporaryDirectory } from "./_tools.ts";

const root = new URL("..", import.meta.url);
const read = (path: string) => Deno.readTextFileSync(new URL(path, root));
const names = (directory: string, ending: RegExp) =>
  [...Deno.readDirSync(new URL(directory, root))]
    .filter((entry) => entry.isFile && ending.test(entry.name))
    .map((entry) => `${directory}${entry.name}`.replace(/^\.\//, "")).sort();

const pages = ["./", "docs/", "_std/", "bench/", ".github/"]
  .filter(exists).flatMap((directory) => names(directory, /\.md$/));

function exists(path: string): boolean {
  try {
    Deno.statSync(new URL(path, root));
    return true;
  } catch {
    return false;
  }
}

/** The text without what stands in code. */
function prose(page: string): string {
  return read(page).replace(/^( *)```[^]*?^\1```$/gm, "").replace(
    /`[^`\n]*`/g,
    (code) => code.replace(/[[\]()]/g, " "),
  );
}

interface Link {
  page: string;
  /** The file that it leads to, relative to the root. */
  file: string;
  anchor: string;
}

/** The links of a page to files of the repository. */
function linksOf(page: string): Link[] {
  const targets = [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target]) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
  return targets.map((target) => {
    const url = new URL(target, new URL(page, root));
    const file = url.href.slice(root.href.length).replace(/#.*$/, "");
    return { page, file, anchor: url.hash.slice(1) };
  });
}

/** The anchors that GitHub makes of headings. */
function anchorsOf(page: string): Set<string> {
  const text = read(page).replace(/^( *)```[^]*?^\1```$/gm, "");
  const anchors = new Set<string>();
  for (const [, heading] of text.matchAll(/^#{1,6} +(.*)$/gm)) {
    const base = heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replace(/\s/g, "-");
    let anchor = base;
    for (let n = 1; anchors.has(anchor); n++) anchor = `${base}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}

const links = pages.flatMap(linksOf);
const show = ({ page, file, anchor }: Link) =>
  `${page} links to ${file}${anchor && `#${anchor}`}`;

Deno.test("docs: each relative link leads to a file", () => {
  assert(links.length > 40, "found too few links to be true");
  const broken = links.filter(({ file }) => !exists(file));
  assertEquals(broken.map(show), []);
});

Deno.test("docs: each anchor of a link is a heading", () => {
  const broken = links.filter(({ file, anchor }) =>
    anchor !== "" && file.endsWith(".md") && exists(file) &&
    !anchorsOf(file).has(anchor)
  );
  assertEquals(broken.map(show), []);
});

Deno.test("docs: each page can be reached from docs/README.md", () => {
  const reached = new Set<string>();
  const visit = (page: string) => {
    if (reached.has(page)) return;
    reached.add(page);
    if (!page.endsWith(".md") || !exists(page)) return;
    for (const { file } of linksOf(page)) {
      if (file.startsWith("docs/")) visit(file);
    }
  };
  visit("docs/README.md");
  const all = names("docs/", /^[^.]/);
  assertEquals(all.filter((page) => !reached.has(page)), []);
});

Deno.test("docs: each page that can be published has a title of its own", () => {
  const titles = names("docs/", /\.md$/).map((page) =>
    /^# (.+)$/m.exec(read(page))?.[1] ?? `${page} has none`
  );
  assertEquals(titles.filter((title, at) => titles.indexOf(title) !== at), []);
  assertEquals(titles.filter((title) => title.endsWith(" has none")), []);
});

Deno.test("docs: the guide has a page for each export", () => {
  const guide = read("docs/README.md");
  const rows = [...guide.matchAll(/^\| \[[^\]]+\]\(([^)]+)\) +\| `([^`]+)`/gm)];
  const modules = Object.keys(config.exports)
    .filter((name) => name !== ".")
    .map((name) => `${config.name}${name.slice(1)}`);
  assertEquals(
    [...new Set(rows.map(([, , module]) => module))].sort(),
    modules.sort(),
  );
});

Deno.test("docs: every example is told of in a page or by another example", () => {
  const examples = names("examples/", /\.(ts|py)$/);
  const elsewhere = (example: string) =>
    [...pages, ...examples.filter((other) => other !== example)]
      .map(read).join("\n");
  const untold = examples.filter((example) => {
    const name = example.slice("examples/".length);
    return !elsewhere(example).includes(name);
  });
  assertEquals(untold, []);
});

Deno.test("docs: what pages and examples name of the repository is there", () => {
  const sources = [...pages, ...names("examples/", /\.(ts|py)$/)];
  const missing = sources.flatMap((source) =>
    [
      ...read(source).matchAll(
        /\b(?:tests|bench|examples|docs|tasks|demo|soak|framing|_transport)\/[\w/-]+\.(?:ts|py|md|h|rs|c)\b/g,
      ),
    ].map(([path]) => path)
      .filter((path) => !exists(path))
      .filter((path) => !/\bfoo_/.test(path)) // the example of CONTRIBUTING.md
      .map((path) => `${source} names ${path}`)
  );
  assertEquals(missing, []);
});

Deno.test("docs: the tasks that pages name are in deno.json", () => {
  const missing = pages.flatMap((page) =>
    [...read(page).matchAll(/deno(?:@[\d.]+)? task ([\w:]+)/g)]
      .map(([, task]) => task)
      .filter((task) => !(task in config.tasks))
      .map((task) => `${page} names the task ${task}`)
  );
  assertEquals(missing, []);
});

Deno.test({
  name: "docs: the two programs of docs/README.md greet each other",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    const blocks = [
      ...read("docs/README.md").matchAll(
        /^```ts ignore\n\/\/ ((?:server|client)\.ts).*?\n(.*?)^```$/gms,
      ),
    ];
    assertEquals(blocks.map(([, name]) => name), ["server.ts", "client.ts"]);
    for (const [, name, code] of blocks) {
      const url = new URL("mod.ts", root).href;
      await Deno.writeTextFile(
        `${path}/${name}`,
        code.replace('"@sluice/ipc"', `"${url}"`),
      );
    }
    const config = new URL("deno.json", root).pathname;
    const start = (name: string) =>
      startPeer(
        Deno.execPath(),
        ["run", "-A", "--check", "--quiet", "--config", config, name],
        { cwd: path },
      );
    await using client = start("client.ts");
    await using server = start("server.ts");
    assertEquals(await client.line(), "hello world");
    assertEquals((await client.status).code, 0);
    server.process.kill("SIGINT");
    assertEquals((await server.status).code, 0);
    const left = [...Deno.readDirSync(path)].map(({ name }) => name).sort();
    assertEquals(left, ["client.ts", "server.ts"]);
  },
});
