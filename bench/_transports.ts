// What the benches of socket transports share: this package beside the runtime,
// both ends in one process.

import type { Connection, Listener } from "../duplex.ts";
import { echo, readAll, roundTrip, writeAll } from "./_streams.ts";

/** One transport, by this package and by the runtime alone. */
export interface BenchedTransport {
  /** What connects here, as the bench calls it. */
  name: string;
  listener: Listener;
  /** Connects to `listener`. */
  connect(): Promise<Connection>;
  /** Connects to `listener` as well. */
  connectBare(): Promise<Deno.Conn>;
  /** Another one, and what connects to it. */
  runtimeListener: Deno.Listener;
  runtimeConnect(): Promise<Deno.Conn>;
}

const CHUNK = new Uint8Array(64 * 1024);
const CHUNKS = 256;

/** Registers round trips, connects and transfers; returns an open connection. */
export async function benchTransport(
  transport: BenchedTransport,
): Promise<Connection> {
  const { name, listener, connect, runtimeListener, runtimeConnect } =
    transport;
  const own = await connect();
  echo(await listener.accept());
  const bare = await transport.connectBare();
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

  Deno.bench({
    name: "Deno.connect",
    group: "connect, accept, close",
    baseline: true,
    async fn() {
      const accepting = runtimeListener.accept();
      const client = await runtimeConnect();
      (await accepting).close();
      client.close();
    },
  });
  Deno.bench({
    name,
    group: "connect, accept, close",
    async fn() {
      const accepting = listener.accept();
      const client = await connect();
      (await accepting).abort();
      client.abort();
    },
  });

  Deno.bench({
    name: "the runtime's streams",
    group: "16 MiB one way",
    baseline: true,
    async fn() {
      const accepting = runtimeListener.accept();
      const client = await runtimeConnect();
      const server = await accepting;
      await Promise.all([
        writeAll(client.writable, CHUNK, CHUNKS),
        readAll(server.readable),
      ]);
    },
  });
  Deno.bench({
    name,
    group: "16 MiB one way",
    async fn() {
      const accepting = listener.accept();
      const client = await connect();
      const server = await accepting;
      await Promise.all([
        writeAll(client.writable, CHUNK, CHUNKS),
        readAll(server.readable),
      ]);
      server.abort();
      client.abort();
    },
  });
  return own;
}
