// A tapped or metered connection is a connection: it passes what every one does.

import { connectShm, listenShm } from "../shm/mod.ts";
import { connectTcp, listenTcp } from "../tcp/mod.ts";
import { connectUnix, listenUnix } from "../socket/mod.ts";
import type { Connection, Listener } from "../duplex.ts";
import { lengthPrefixed } from "../framing/mod.ts";
import { meter, tap, TapSink } from "../observe/mod.ts";
import { conformance, type Pair } from "./_conformance.ts";
import { temporaryDirectory } from "./_tools.ts";

const sink = new TapSink({ write() {} });

async function pairOf(
  open: (directory: string) => Promise<
    { listener: Listener; connect(): Promise<Connection> }
  >,
  wrap: (connection: Connection) => Connection,
): Promise<Pair> {
  const directory = await temporaryDirectory();
  const { listener, connect } = await open(directory.path);
  const [client, server] = await Promise.all([connect(), listener.accept()]);
  return {
    client: wrap(client),
    server: wrap(server),
    async [Symbol.asyncDispose]() {
      await listener.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

conformance({
  name: "unix: under a raw tap",
  pair: () =>
    pairOf(async (directory) => {
      const path = `${directory}/a.sock`;
      const listener = await listenUnix({ path });
      return { listener, connect: () => connectUnix({ path }) };
    }, (connection) => tap(connection, sink)),
});

conformance({
  // What the suite sends is no frame, so this also passes the malformed.
  name: "tcp: under a meter and a tap of frames",
  pair: () =>
    pairOf(async () => {
      const listener = await listenTcp();
      return { listener, connect: () => connectTcp(listener) };
    }, (connection) => {
      const format = lengthPrefixed();
      return tap(meter(connection, { format }), sink, { format });
    }),
});

conformance({
  name: "shm: under a raw tap",
  ignore: Deno.build.os !== "linux",
  pair: () =>
    pairOf(async (directory) => {
      const path = `${directory}/a.sock`;
      const listener = await listenShm({ path });
      return { listener, connect: () => connectShm({ path }) };
    }, (connection) => tap(connection, sink)),
});
