// What rpc/ itself costs, in one process over a pair of streams in memory:
//
//   deno bench -A bench/rpc_bench.ts
//
// For figures between two processes see `rpc_two_processes.ts`.

import { client, jsonRpc, messagePackRpc, serve } from "../rpc/mod.ts";

const handlers = {
  add: (a: number, b: number) => a + b,
  later: async (value: number) => await Promise.resolve(value),
  async *count(to: number) {
    for (let n = 0; n < to; n++) yield n;
  },
  each: async (callback: (n: number) => Promise<number>) => await callback(1),
};

function connect(protocol = messagePackRpc()) {
  const near = new TransformStream<Uint8Array, Uint8Array>();
  const far = new TransformStream<Uint8Array, Uint8Array>();
  serve({ readable: far.readable, writable: near.writable }, handlers, {
    protocol,
  });
  return client<typeof handlers>(
    { readable: near.readable, writable: far.writable },
    { protocol },
  );
}

const api = connect();
const json = connect(jsonRpc());

Deno.bench("add(1, 2)", { group: "call", baseline: true }, async () => {
  await api.add(1, 2);
});
Deno.bench("an async handler", { group: "call" }, async () => {
  await api.later(1);
});
Deno.bench("add(1, 2) with a timeout", { group: "call" }, async () => {
  await api.$with({ timeout: 10_000 }).add(1, 2);
});
Deno.bench("add(1, 2) over JSON-RPC by line", { group: "call" }, async () => {
  await json.add(1, 2);
});
Deno.bench("a callback, called once", { group: "call" }, async () => {
  await api.each((n) => n);
});
Deno.bench(
  "100 calls in one turn",
  { group: "many", baseline: true },
  async () => {
    await Promise.all(Array.from({ length: 100 }, () => api.add(1, 2)));
  },
);
Deno.bench("a stream of 1000 items", { group: "many" }, async () => {
  for await (const _ of api.count(1000));
});
