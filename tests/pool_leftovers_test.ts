// Bytes that one user of a pool's connection leaves are never the next one's.

import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import { connect, type ConnectOptions, listen } from "../address.ts";
import type { ListenOptions } from "../address.ts";
import type { Connection } from "../duplex.ts";
import { connectTcp, createPool, serveConnections } from "../tcp/mod.ts";
import { certificates, hasOpenssl } from "./_certificates.ts";
import { temporaryDirectory } from "./_tools.ts";

const linux = Deno.build.os === "linux";

interface Way {
  name: string;
  ignore: boolean;
  address: (directory: string) => string;
  options?: () => Promise<[ListenOptions, ConnectOptions]>;
}

const WAYS: Way[] = [
  { name: "tcp:", ignore: false, address: () => "tcp:127.0.0.1:0" },
  { name: "unix:", ignore: !linux, address: (at) => `unix:${at}/a` },
  { name: "shm:", ignore: !linux, address: (at) => `shm:${at}/b` },
  { name: "fifo:", ignore: !linux, address: (at) => `fifo:${at}/c` },
  {
    name: "tls:",
    ignore: !hasOpenssl(),
    address: () => "tls:127.0.0.1:0",
    async options() {
      const { ca, server } = await certificates();
      return [{ tls: server }, { tls: { caCerts: [ca] } }];
    },
  },
  {
    name: "tls: with client certificates",
    ignore: !hasOpenssl(),
    address: () => "tls:127.0.0.1:0",
    async options() {
      const { ca, server, client } = await certificates();
      return [
        { tls: { ...server, clientCaCerts: [ca] } },
        { tls: { caCerts: [ca], ...client } },
      ];
    },
  },
];

/** Sends each byte back twice, in one write, until it is stopped. */
async function doubler({ address, options }: Way) {
  const directory = await temporaryDirectory();
  const [listening, connecting] = await options?.() ?? [{}, {}];
  const stop = new AbortController();
  const listener = await listen(address(directory.path), listening);
  const served = serveConnections(listener, async ({ readable, writable }) => {
    const writer = writable.getWriter();
    for await (const chunk of readable) {
      await writer.write(new Uint8Array([...chunk, ...chunk]));
    }
  }, { signal: stop.signal, graceTimeout: 0, onError() {} });
  return {
    connect: ({ signal }: { signal: AbortSignal }) =>
      connect(listener.address, {
        ...connecting,
        signal,
        tcp: { lingerTimeout: 0 },
        tls: { ...connecting.tls, lingerTimeout: 0 },
      }),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await served;
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** Sends a byte and reads `count` bytes of the answer. */
async function ask(
  { readable, writable }: Connection,
  byte: number,
  count: number,
): Promise<number[]> {
  const writer = writable.getWriter();
  await writer.write(new Uint8Array([byte]));
  writer.releaseLock();
  const reader = readable.getReader({ mode: "byob" });
  const answer: number[] = [];
  while (answer.length < count) {
    const { value } = await reader.read(new Uint8Array(count - answer.length));
    answer.push(...value!);
  }
  reader.releaseLock();
  return answer;
}

for (const way of WAYS) {
  Deno.test(
    `createPool leases no ${way.name} connection whose answer was not read to its end`,
    {
      ignore: way.ignore,
    },
    async () => {
      await using server = await doubler(way);
      await using pool = createPool(server.connect, { max: 1 });
      for (let round = 0; round < 5; round++) {
        const first = await pool.acquire();
        const waiting = pool.acquire(); // gets what is given back
        assertEquals(await ask(first.connection, 1, 1), [1]); // and one is left
        first.release();
        const second = await waiting;
        assertEquals(await ask(second.connection, 2, 2), [2, 2]);
        second.release();
        const third = await pool.acquire(); // nobody waited for it
        assert(third.connection === second.connection);
        await ask(third.connection, 3, 1);
        third.release();
        await pool.use(async (connection) => {
          assert(connection !== third.connection);
          assertEquals(await ask(connection, 4, 2), [4, 4]);
        });
        assertEquals(pool.counters().discarded, 2 * (round + 1));
      }
    },
  );

  Deno.test(
    `createPool uses a ${way.name} connection again that nothing is left on`,
    {
      ignore: way.ignore,
    },
    async () => {
      await using server = await doubler(way);
      await using pool = createPool(server.connect, { max: 2 });
      for (let round = 0; round < 10; round++) {
        await Promise.all(
          [1, 2, 3, 4].map((byte) =>
            pool.use(async (connection) => {
              assertEquals(await ask(connection, byte, 2), [byte, byte]);
            })
          ),
        );
        // Also after it was idle, and watched.
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      const { opened, discarded } = pool.counters();
      assertEquals({ opened, discarded }, { opened: 2, discarded: 0 });
    },
  );
}

Deno.test("createPool leases no connection on which the peer sent bytes unasked", async () => {
  await using listener = await listen("tcp:127.0.0.1:0");
  const port = Number(listener.address.split(":").at(-1));
  await using pool = createPool(
    ({ signal }) => connectTcp({ port, signal, lingerTimeout: 0 }),
    { max: 1 },
  );
  for (const idle of [false, true]) {
    const lease = await pool.acquire();
    const { connection } = lease;
    await using server = await listener.accept();
    const writer = server.writable.getWriter();
    if (idle) {
      lease.release();
      await new Promise((resolve) => setTimeout(resolve, 5)); // it is watched
    }
    // The kernel has it at once, and the event loop has told of nothing.
    await writer.write(new Uint8Array([66]));
    lease.release();
    const next = await pool.acquire();
    await using _other = await listener.accept();
    assert(next.connection !== connection);
    next.discard();
  }
});

Deno.test("createPool leases no connection that a request is still written to", async () => {
  await using listener = await listen("tcp:127.0.0.1:0"); // reads nothing
  const port = Number(listener.address.split(":").at(-1));
  await using pool = createPool(
    ({ signal }) => connectTcp({ port, signal, lingerTimeout: 0 }),
    { max: 1 },
  );
  await using others = createPool( // not of this package
    async ({ signal }) => {
      const connection = await connectTcp({ port, signal, lingerTimeout: 0 });
      const { readable, writable, local, remote, closed } = connection;
      return {
        ...{ readable, writable, local, remote, closed },
        close: () => connection.close(),
        abort: (reason: unknown) => connection.abort(reason),
        [Symbol.asyncDispose]: () => connection.close(),
      };
    },
    { max: 1 },
  );
  for (const each of [pool, others]) {
    (await each.acquire()).release(); // nothing was written
    const lease = await each.acquire();
    const writer = lease.connection.writable.getWriter();
    writer.write(new Uint8Array(64 << 20)).catch(() => {});
    writer.releaseLock();
    lease.release();
    assertEquals(each.counters().discarded, 1);
  }
  // What was closed takes no more, and is no use either.
  const ended = await pool.acquire();
  await ended.connection.writable.close();
  ended.release();
  assertEquals(pool.counters().discarded, 2);
});

Deno.test("createPool finds what is left without --allow-ffi", async () => {
  const script = fileURLToPath(
    new URL("peers/pool_without_ffi.ts", import.meta.url),
  );
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-net", script],
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  assertEquals(new TextDecoder().decode(stdout).trim(), "2 2, 1 discarded");
});
