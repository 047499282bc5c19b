// Bundles the sources of a package: what the entry points share goes into few
// files. Run without the package's configuration, so that nobody who only runs
// the package fetches the bundler:
//
//   deno run -A --no-config --no-lock tasks/_bundler.ts <json of a Bundle>

// deno-lint-ignore-file no-import-prefix -- no dependency of the package

import { rolldown } from "npm:rolldown@1.3.2";
import type { Bundle } from "./_bundle.ts";

/**
 * What the entry points share, by folders: a program that imports one of them
 * loads what that needs, and not all. A file takes what it imports along, unless
 * one further up has it. Few files, and large ones: a source below
 * 128 KiB goes to V8's young space, which is collected when that is full.
 */
const FILES = [
  // Alone: it throws while it loads, and V8 parses its file again to tell where.
  { name: "libraries", test: /^_libraries\.js$/ },
  { name: "duplex", test: /^duplex\.ts$/ },
  { name: "base", test: /^(_async|_libc|_transport)\// },
  { name: "framing", test: /^framing\// },
  // `node:tls` takes 35 ms: `_mutual_tls.ts` is loaded on first use.
  { name: "transports", test: /^(socket|tcp|shm)\/(?!_mutual_tls)/ },
  { name: "pipe", test: /^pipe\// },
  { name: "messages", test: /^(rpc|delivery|observe)\// },
  { name: "nats", test: /^nats\// },
];

const { path, sources, directory, libraries }: Bundle = JSON.parse(
  Deno.args[0],
);
await using bundler = await rolldown({
  cwd: path,
  input: Object.fromEntries(
    sources.map((source) => [source.slice(2).replace(/\.ts$/, ""), source]),
  ),
  platform: "neutral",
  external: [/^node:/, /^@nats-io\//],
  resolve: { alias: libraries },
});
await bundler.write({
  dir: `${path}/${directory}`,
  entryFileNames: "[name].js",
  chunkFileNames: "_[name].js",
  comments: false,
  codeSplitting: {
    groups: FILES.map(({ name, test }) => ({
      name,
      test: (id: string) => test.test(id.slice(path.length + 1)),
    })),
  },
});
