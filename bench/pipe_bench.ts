// What starting programs costs beside the runtime's own way, and beside `sh`.
//
//   deno bench -A bench/pipe_bench.ts

import { pipeline, spawn } from "../pipe/mod.ts";

Deno.bench(
  "Deno.Command, one program",
  { group: "one", baseline: true },
  async () => {
    await new Deno.Command("echo", { args: ["hello"] }).output();
  },
);

Deno.bench("spawn, one program", { group: "one" }, async () => {
  await spawn(["echo", "hello"]).text();
});

Deno.bench(
  "sh -c, three programs",
  { group: "three", baseline: true },
  async () => {
    const args = ["-c", "echo hello | cat | wc -c"];
    await new Deno.Command("sh", { args }).output();
  },
);

const three = pipeline(["echo", "hello"], ["cat"], ["wc", "-c"]);

Deno.bench("pipeline, three programs", { group: "three" }, async () => {
  await three.text();
});

const streams = three.with({ connection: "streams" });

Deno.bench(
  "pipeline by streams, three programs",
  { group: "three" },
  async () => {
    await streams.text();
  },
);
