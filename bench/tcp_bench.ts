// What TCP costs here beside the runtime's own, both ends in one process. For
// figures between two processes see `pool.ts` and `send_file.ts`.
//
//   deno bench -A bench/tcp_bench.ts

import { connectTcp, createPool, listenTcp } from "../tcp/mod.ts";
import { echo, readAll, roundTrip, writeAll } from "./_streams.ts";

const listener = await listenTcp();
const { hostname, port } = listener;
const own = await connectTcp({ hostname, port });
echo(await listener.accept());
const bare = await Deno.connect({ hostname, port });
bare.setNoDelay();
echo(await listener.accept());

const message = new Uint8Array(64);
const buffer = new Uint8Array(64);
Deno.bench({
  name: "conn.write and conn.read",
  group: "64 bytes there and back",
  baseline: true,
  async fn() {
    await bare.write(message);
    await bare.read(buffer);
  },
});
const trip = roundTrip(own);
Deno.bench({
  name: "writable and readable",
  group: "64 bytes there and back",
  async fn() { // only async functions are awaited
    await trip(message);
  },
});

const runtimeListener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
const runtimeAddress = { port: (runtimeListener.addr as Deno.NetAddr).port };
const pool = createPool(({ signal }) =>
  connectTcp({ hostname, port: pooled.port, signal })
);
const pooled = await listenTcp();
(async () => {
  for await (const connection of pooled) echo(connection);
})();

Deno.bench({
  name: "Deno.connect",
  group: "connect, accept, close",
  baseline: true,
  async fn() {
    const accepting = runtimeListener.accept();
    const client = await Deno.connect(runtimeAddress);
    (await accepting).close();
    client.close();
  },
});
Deno.bench({
  name: "connectTcp",
  group: "connect, accept, close",
  async fn() {
    const accepting = listener.accept();
    const client = await connectTcp({ hostname, port });
    (await accepting).abort();
    client.abort();
  },
});
Deno.bench({
  name: "a lease of a pool",
  group: "connect, accept, close",
  async fn() {
    await pool.use(() => {});
  },
});

const CHUNK = new Uint8Array(64 * 1024);
const CHUNKS = 256;
Deno.bench({
  name: "the runtime's streams",
  group: "16 MiB one way",
  baseline: true,
  async fn() {
    const accepting = runtimeListener.accept();
    const client = await Deno.connect(runtimeAddress);
    const server = await accepting;
    await Promise.all([
      writeAll(client.writable, CHUNK, CHUNKS),
      readAll(server.readable),
    ]);
  },
});
Deno.bench({
  name: "connectTcp",
  group: "16 MiB one way",
  async fn() {
    const accepting = listener.accept();
    const client = await connectTcp({ hostname, port });
    const server = await accepting;
    await Promise.all([
      writeAll(client.writable, CHUNK, CHUNKS),
      readAll(server.readable),
    ]);
    server.abort();
    client.abort();
  },
});
