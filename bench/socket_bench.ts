// What a Unix socket costs here beside the runtime's own, both ends in one
// process. For figures between two processes see `socket_throughput.ts`.
//
//   deno bench -A bench/socket_bench.ts

import { connectUnix, listenUnix, peerCredentials } from "../socket/mod.ts";
import { echo, readAll, roundTrip, writeAll } from "./_streams.ts";

const directory = await Deno.makeTempDir();
const path = `${directory}/bench.sock`;
const listener = await listenUnix({ path });
const own = await connectUnix({ path });
echo(await listener.accept());
const bare = await Deno.connect({ transport: "unix", path });
echo(await listener.accept());
// The path is gone from here on; the connections and listeners stay.
globalThis.addEventListener("unload", () => {
  Deno.removeSync(directory, { recursive: true });
});

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

const runtimeListener = Deno.listen({
  transport: "unix",
  path: `${directory}/runtime.sock`,
});
Deno.bench({
  name: "Deno.connect",
  group: "connect, accept, close",
  baseline: true,
  async fn() {
    const accepting = runtimeListener.accept();
    const client = await Deno.connect({
      transport: "unix",
      path: `${directory}/runtime.sock`,
    });
    (await accepting).close();
    client.close();
  },
});
Deno.bench({
  name: "connectUnix",
  group: "connect, accept, close",
  async fn() {
    const accepting = listener.accept();
    const client = await connectUnix({ path });
    (await accepting).abort();
    client.abort();
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
    const client = await Deno.connect({
      transport: "unix",
      path: `${directory}/runtime.sock`,
    });
    const server = await accepting;
    await Promise.all([
      writeAll(client.writable, CHUNK, CHUNKS),
      readAll(server.readable),
    ]);
  },
});
Deno.bench({
  name: "connectUnix",
  group: "16 MiB one way",
  async fn() {
    const accepting = listener.accept();
    const client = await connectUnix({ path });
    const server = await accepting;
    await Promise.all([
      writeAll(client.writable, CHUNK, CHUNKS),
      readAll(server.readable),
    ]);
    server.abort();
    client.abort();
  },
});

Deno.bench("peerCredentials", { group: "who is there", baseline: true }, () => {
  peerCredentials(own);
});
