// What TCP costs here beside the runtime's own, both ends in one process. For
// figures between two processes see `pool.ts` and `send_file.ts`.
//
//   deno bench -A bench/tcp_bench.ts

import { connectTcp, createPool, listenTcp } from "../tcp/mod.ts";
import { echo } from "./_streams.ts";
import { benchTransport } from "./_transports.ts";

const listener = await listenTcp();
const { hostname, port } = listener;
const runtimeListener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
const runtimeAddress = { port: (runtimeListener.addr as Deno.NetAddr).port };

await benchTransport({
  name: "connectTcp",
  listener,
  connect: () => connectTcp({ hostname, port }),
  async connectBare() {
    const conn = await Deno.connect({ hostname, port });
    conn.setNoDelay();
    return conn;
  },
  runtimeListener,
  runtimeConnect: () => Deno.connect(runtimeAddress),
});

const pooled = await listenTcp();
const pool = createPool(({ signal }) =>
  connectTcp({ hostname, port: pooled.port, signal })
);
(async () => {
  for await (const connection of pooled) echo(connection);
})();
Deno.bench({
  name: "a lease of a pool",
  group: "connect, accept, close",
  async fn() {
    await pool.use(() => {});
  },
});
