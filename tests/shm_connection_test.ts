import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConnectionClosedError } from "../duplex.ts";
import type { Connection } from "../duplex.ts";
import { connectShm, listenShm, Ring, SharedMemory } from "../shm/mod.ts";
import {
  connectUnix,
  listenUnix,
  type PeerDeniedError,
} from "../socket/mod.ts";
import { descriptorOf } from "../_libc/descriptor.ts";
import { libc } from "../_libc/library.ts";
import { sendWithDescriptor } from "../_libc/rights.ts";
import { hasProgram, startPeer } from "./_tools.ts";
import {
  firstLine,
  killPeer,
  noShm,
  openSegments,
  peerEnd,
  segmentsGone,
  spawnPeer,
} from "./_shm.ts";

const ignore = noShm;

async function withPath(run: (path: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await run(`${directory}/a.sock`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const CONNECT = `
  globalThis.connection = await shm.connectShm({ path: args[0] });
  const writer = connection.writable.getWriter();`;

Deno.test("shm connection tells that the peer was killed, after all it sent", {
  ignore,
}, () =>
  withPath(async (path) => {
    await using listener = await listenShm({ path });
    const child = spawnPeer(
      `${CONNECT}
       await writer.write(new Uint8Array(1000).fill(7));
       say("sent"); setInterval(() => {}, 1000);`,
      [path],
    );
    const server = await listener.accept();
    assertEquals(await firstLine(child.stdout), "sent");
    const segments = openSegments(child.pid);
    assertEquals(segments.size, 1);
    await killPeer(child);
    const reader = server.readable.getReader();
    const { value } = await reader.read();
    assertEquals(value?.length, 1000);
    const error = await assertRejects(
      () => reader.read(),
      ConnectionClosedError,
    );
    assertEquals(error.code, "lost");
    await assertRejects(() => server.closed, ConnectionClosedError);
    await segmentsGone(segments);
  }));

Deno.test("shm connection wakes a writer whose sleeping peer is killed", {
  ignore,
}, () =>
  withPath(async (path) => {
    await using listener = await listenShm({ path, capacity: 4096 });
    const child = spawnPeer(
      `${CONNECT} say("ready"); setInterval(() => {}, 1000);`,
      [path],
    );
    const server = await listener.accept();
    assertEquals(await firstLine(child.stdout), "ready");
    const writing = server.writable.getWriter().write(new Uint8Array(1 << 20));
    const killed = killPeer(child);
    const error = await assertRejects(() => writing, ConnectionClosedError);
    assertEquals(error.code, "lost");
    await killed;
  }));

Deno.test("shm connection uses no processor time while idle", {
  ignore,
}, () =>
  withPath(async (path) => {
    await using listener = await listenShm({ path });
    const child = spawnPeer(
      `${CONNECT}
       const reader = connection.readable.getReader();
       await writer.write(new Uint8Array(1));
       await reader.read();
       say("quiet");
       await reader.read();`,
      [path],
    );
    await using server = await listener.accept();
    const reader = server.readable.getReader();
    await reader.read();
    const writer = server.writable.getWriter();
    await writer.write(new Uint8Array(1));
    assertEquals(await firstLine(child.stdout), "quiet");
    const ticks = () => {
      const stat = Deno.readTextFileSync(`/proc/${child.pid}/stat`);
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return Number(fields[11]) + Number(fields[12]);
    };
    // What is timed here is a second of doing nothing.
    await new Promise((resolve) => setTimeout(resolve, 300));
    const before = ticks();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const used = ticks() - before;
    await killPeer(child);
    assert(used <= 2, `used ${used} ticks of 10 ms in a second`);
  }));

Deno.test("shm connection gives back its memory and descriptors", {
  ignore,
}, () =>
  withPath(async (path) => {
    // In a process of its own, whose descriptors are nobody else's.
    const child = spawnPeer(
      `const [path] = args;
       const listener = await shm.listenShm({ path });
       const count = () => [...Deno.readDirSync("/proc/self/fd")].length;
       let before = 0;
       for (let round = 0; round < 20; round++) {
         const [client, server] = await Promise.all([
           shm.connectShm({ path }),
           listener.accept(),
         ]);
         if (round % 2 === 0) await Promise.all([client.close(), server.close()]);
         else { client.abort(); server.abort(); }
         await client.closed.catch(() => {});
         await new Promise((resolve) => setTimeout(resolve, 2));
         if (round === 4) before = count();
       }
       const maps = Deno.readTextFileSync("/proc/self/maps");
       say([count() - before, maps.includes("memfd:sluice")].join());
       await listener.close();`,
      [path],
    );
    assertEquals(await firstLine(child.stdout), "0,false");
    assertEquals(await peerEnd(child), 0);
  }));

Deno.test("connectShm needs no accept that is under way", {
  ignore,
}, () =>
  withPath(async (path) => {
    await using listener = await listenShm({ path });
    const clients = [];
    for (let count = 0; count < 4; count++) {
      clients.push(await connectShm({ path, timeout: 20_000 }));
    }
    // No more get a segment before somebody takes those.
    await assertRejects(() => connectShm({ path, timeout: 50 }), DOMException);
    for (const client of clients) {
      await using server = await listener.accept();
      const writer = client.writable.getWriter();
      await writer.write(new Uint8Array([42]));
      const { value } = await server.readable.getReader().read();
      assertEquals(value, new Uint8Array([42]));
      client.abort();
    }
  }));

Deno.test("a shm listener that nobody waits for lets its program end", {
  ignore,
}, () =>
  withPath(async (path) => {
    const child = spawnPeer(
      `globalThis.listener = await shm.listenShm({ path: args[0] });
       const wait = listener.accept(); // until it is served
       setTimeout(async () =>
         (await shm.connectShm({ path: args[0] })).abort(), 10);
       (await wait).abort();
       say("served");`,
      [path],
    );
    assertEquals(await firstLine(child.stdout), "served");
    const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
    assertEquals((await child.status).code, 0);
    clearTimeout(late);
    await child.stdin.abort().catch(() => {});
  }));

Deno.test(
  "connectShm says it where the server closes before its segment came",
  {
    ignore,
  },
  () =>
    withPath(async (path) => {
      const listener = await listenShm({ path });
      const clients = Array.from({ length: 4 }, () => connectShm({ path }));
      await Promise.all(clients); // no more get a segment
      const waiting = Array.from({ length: 3 }, () => connectShm({ path }));
      const refused = Promise.all(waiting.map((connecting) =>
        assertRejects(
          () => connecting,
          ConnectionClosedError,
          "the server closed the connection before its segment came",
        )
      ));
      await new Promise((resolve) => setTimeout(resolve, 20));
      await listener.close();
      await refused;
      for (const client of clients) (await client).abort();
    }),
);

Deno.test(
  "connectShm tries again when its server is killed before a segment came",
  {
    ignore,
  },
  () =>
    withPath(async (path) => {
      const child = spawnPeer(
        `globalThis.listener = await shm.listenShm({ path: args[0] });
       say("listens"); setInterval(() => {}, 1000);`,
        [path],
      );
      assertEquals(await firstLine(child.stdout), "listens");
      const first = await Promise.all(
        Array.from({ length: 4 }, () => connectShm({ path })),
      ); // no more get a segment
      const retry = { minDelay: 1, maxDelay: 5 };
      const waiting = [
        connectShm({ path, retry }),
        connectShm({ path, retry }),
      ];
      await Promise.all( // one that waits like them
        [assertRejects(() => connectShm({ path, timeout: 50 }), DOMException)],
      );
      await killPeer(child);
      await using _listener = await listenShm({ path });
      for (const connection of await Promise.all(waiting)) connection.abort();
      for (const connection of first) connection.abort();
    }),
);

Deno.test("connectShm that is turned away for all of its time says why", {
  ignore,
}, () =>
  withPath(async (path) => {
    await using listener = await listenShm({ path, allow: () => false });
    const accepting = assertRejects(() => listener.accept());
    await assertRejects(
      () => connectShm({ path, retry: true, timeout: 200 }),
      DOMException,
      "timed out after 200 ms, the last try: the server closed the connection",
    );
    await listener.close();
    await accepting;
  }));

Deno.test("closing a shm listener frees those that nobody accepted", {
  ignore,
}, () =>
  withPath(async (path) => {
    const before = openSegments(Deno.pid).size;
    const listener = await listenShm({ path });
    const client = await connectShm({ path });
    assertEquals(openSegments(Deno.pid).size, before + 1);
    await listener.close();
    await assertRejects(
      () => client.readable.getReader().read(),
      ConnectionClosedError,
    );
    client.abort();
    assertEquals(openSegments(Deno.pid).size, before);
  }));

Deno.test("listenShm serves a peer that comes after another one left", {
  ignore,
}, () =>
  withPath(async (path) => {
    await using listener = await listenShm({ path });
    const open: Connection[] = [];
    // The client's number is free again, below all of the server's.
    for (let round = 0; round < 6; round++) {
      const [client, server] = await Promise.all([
        connectShm({ path }),
        listener.accept(),
      ]);
      open.push(server);
      const writer = client.writable.getWriter();
      await writer.write(new Uint8Array([round]));
      const reader = server.readable.getReader();
      assertEquals((await reader.read()).value, new Uint8Array([round]));
      await client.close();
    }
    for (const server of open) server.abort();
    await Promise.allSettled(open.map((server) => server.closed));
  }));

Deno.test(
  "listenShm turns away whom allow does not",
  { ignore },
  () =>
    withPath(async (path) => {
      const denied = Promise.withResolvers<PeerDeniedError>();
      await using listener = await listenShm({
        path,
        allow: () => false,
        onDenied: denied.resolve,
      });
      const accepting = listener.accept().catch(() => {});
      const error = await assertRejects(
        () => connectShm({ path }),
        ConnectionClosedError,
        "the server closed the connection before its segment came",
      );
      assertEquals(error.code, "ended");
      assertEquals((await denied.promise).code, "predicate");
      await listener.close();
      await accepting;
    }),
);

Deno.test("listenShm checks who connects also where no allow is given", {
  ignore: ignore || Deno.uid() !== 0 || !hasProgram("python3"),
}, () =>
  withPath(async (path) => {
    await Deno.chmod(path.slice(0, path.lastIndexOf("/")), 0o755);
    const denied = Promise.withResolvers<PeerDeniedError>();
    await using listener = await listenShm({ path, onDenied: denied.resolve });
    await Deno.chmod(path, 0o666); // as if modes meant nothing here
    const accepting = listener.accept();
    const client = fileURLToPath(
      new URL("peers/unix_client.py", import.meta.url),
    );
    await using stranger = startPeer("python3", [client, path, "65534"]);
    assertEquals(await stranger.line(), "read 0");
    assertEquals((await denied.promise).peer?.uid, 65534);
    await using _same = await connectShm({ path });
    await using _server = await accepting;
  }));

Deno.test("listenShm refuses a capacity that is no power of two", {
  ignore,
}, async () => {
  await assertRejects(
    () => listenShm({ path: "/nowhere/a.sock", capacity: 1000 }),
    RangeError,
    "expected a power of two, received 1000",
  );
});

Deno.test("listenShm names the address that was asked for in its errors", {
  ignore,
}, () =>
  withPath(async (path) => {
    await using _listener = await listenShm({ path });
    await assertRejects(
      () => listenShm({ path }),
      Deno.errors.AddrInUse,
      `Cannot listen on shm:${path}: another process listens there`,
    );
    const file = `${path}.txt`;
    await Deno.writeTextFile(file, "");
    await assertRejects(
      () => listenShm({ path: file }),
      Deno.errors.AlreadyExists,
      `Cannot listen on shm:${file}: the path exists and is no socket`,
    );
    const name = `@sluice-${crypto.randomUUID()}`;
    await using _abstract = await listenShm({ path: name });
    await assertRejects(
      () => listenShm({ path: name }),
      Deno.errors.AddrInUse,
      `Cannot listen on shm:${name}: another process listens there`,
    );
    const long = `/tmp/${"x".repeat(200)}`;
    for (const open of [listenShm, connectShm]) {
      await assertRejects(
        () => open({ path: long }),
        RangeError,
        `shm:${long}`,
      );
    }
    await assertRejects(() => listenShm({ path: "@" }), TypeError, "shm:@");
  }));

Deno.test("connectShm says that there is no server, and waits in time", {
  ignore,
}, () =>
  withPath(async (path) => {
    await assertRejects(
      () => connectShm({ path }),
      Deno.errors.NotFound,
      `Cannot connect to shm:${path}: there is no such socket`,
    );
    await using silent = await listenUnix({ path });
    const accepting = silent.accept();
    await assertRejects(
      () => connectShm({ path, timeout: 30 }),
      DOMException,
      `Cannot connect to shm:${path}: timed out after 30 ms`,
    );
    (await accepting).abort();
  }));

/** A server that sends what `send` does instead of the rendezvous. */
async function hostileServer(
  path: string,
  send: (socket: Connection, fd: number) => unknown,
): Promise<AsyncDisposable> {
  const listener = await listenUnix({ path });
  const accepting = listener.accept();
  accepting.then((socket) => send(socket, descriptorOf(socket)!.fd));
  return {
    async [Symbol.asyncDispose]() {
      (await accepting).abort();
      await listener.close();
    },
  };
}

/** The segment that came since `before`, as a hostile peer sees it. */
function openSegment(before: Set<number>): Deno.FsFile {
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    const path = `/proc/self/fd/${name}`;
    try {
      if (!Deno.readLinkSync(path).includes("memfd:sluice")) continue;
      if (before.has(Deno.statSync(path).ino!)) continue;
      return Deno.openSync(path, { read: true, write: true });
    } catch { // the directory's own
    }
  }
  throw new Error("There is no segment");
}

function rendezvous(version = 1): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(16);
  new DataView(message.buffer).setUint32(0, 0x4e43_4c53, true);
  message[4] = version;
  return message;
}

for (
  const [what, send, message] of [
    [
      "bytes of another protocol",
      (socket: Connection) =>
        socket.writable.getWriter().write(new TextEncoder().encode("HTTP/1.1")),
      "its first 8 bytes are no rendezvous",
    ],
    [
      "another version",
      (socket: Connection) => socket.writable.getWriter().write(rendezvous(9)),
      "rendezvous version 9, this program knows 1",
    ],
    [
      "no descriptor",
      (socket: Connection) => socket.writable.getWriter().write(rendezvous()),
      "no descriptor came along",
    ],
    [
      "a segment that can shrink",
      (_: Connection, fd: number) => {
        const c = libc("test");
        const memory = c.memfd_create!(new TextEncoder().encode("x\0"), 3);
        c.ftruncate!(memory, 1n << 20n);
        sendWithDescriptor(fd, rendezvous(), memory, "test");
        c.close!(memory);
      },
      "not sealed against shrinking",
    ],
    [
      "a segment without rings",
      (_: Connection, fd: number) => {
        using memory = SharedMemory.anonymous({ size: 1 << 20 });
        sendWithDescriptor(fd, rendezvous(), memory.fd, "test");
      },
      "none at offset 0 yet",
    ],
    [
      "a second ring beyond the end",
      (_: Connection, fd: number) => {
        using memory = SharedMemory.anonymous({ size: 4096 - 128 });
        Ring.create(memory, { capacity: 2048 });
        new Int32Array(memory.buffer, 128)[2] = 4096;
        sendWithDescriptor(fd, rendezvous(), memory.fd, "test");
      },
      "capacity 4096 is no power of two that fits",
    ],
  ] as const
) {
  Deno.test(
    `connectShm refuses ${what}`,
    { ignore },
    () =>
      withPath(async (path) => {
        const before = openSegments();
        await using _server = await hostileServer(path, send);
        const error = await assertRejects(() => connectShm({ path }), Error);
        assert(
          error instanceof Deno.errors.InvalidData ||
            error instanceof Deno.errors.NotFound,
          String(error),
        );
        assert(error.message.includes(message), error.message);
        await segmentsGone(openSegments().difference(before));
      }),
  );
}

Deno.test(
  "shm connection breaks where the peer writes nonsense into the ring",
  {
    ignore,
  },
  () =>
    withPath(async (path) => {
      await using listener = await listenShm({ path, capacity: 1024 });
      const before = openSegments();
      const socket = await connectUnix({ path });
      const server = await listener.accept();
      const reading = server.readable.getReader().read();
      using file = openSegment(before);
      // The first word of the ring to the server, and a byte to wake it.
      file.seekSync(128 + 512 + 1024 + 512, Deno.SeekMode.Start);
      file.writeSync(new Uint8Array([255, 255, 255, 127]));
      await socket.writable.getWriter().write(new Uint8Array(1));
      const error = await assertRejects(() => reading, ConnectionClosedError);
      assertEquals(error.code, "lost");
      assert(String(error.cause).includes("corrupt"), String(error.cause));
      socket.abort();
    }),
);

Deno.test(
  "shm connection asks for --allow-ffi by name",
  { ignore },
  async () => {
    const script = await Deno.makeTempFile({ suffix: ".ts" });
    const module = new URL("../shm/mod.ts", import.meta.url).href;
    await Deno.writeTextFile(
      script,
      `import { connectShm, listenShm } from ${JSON.stringify(module)};
     for (const f of [connectShm, listenShm]) {
       await f({ path: "/tmp/none/a.sock" }).catch((e) => console.log(String(e)));
     }`,
    );
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-config", "--no-lock", script],
    }).output();
    await Deno.remove(script);
    assertEquals(new TextDecoder().decode(stdout).trim().split("\n"), [
      "NotCapable: Cannot connect to shm:/tmp/none/a.sock: requires ffi access, run again with --allow-ffi",
      "NotCapable: Cannot listen on shm:/tmp/none/a.sock: requires ffi access, run again with --allow-ffi",
    ]);
  },
);

Deno.test("shm connection keeps timers going under endless empty records", {
  ignore,
}, () =>
  withPath(async (path) => {
    await using listener = await listenShm({ path, capacity: 1024 });
    const before = openSegments();
    const socket = await connectUnix({ path });
    const server = await listener.accept();
    const reading = server.readable.getReader().read();
    reading.catch(() => {});
    using file = openSegment(before);
    file.seekSync(128 + 512 + 1024 + 512, Deno.SeekMode.Start);
    // No record is ever cleared, so the ring goes round and round.
    const words = new Int32Array(256).map((_, i) => i % 2 === 0 ? 8 : 0);
    file.writeSync(new Uint8Array(words.buffer));
    await socket.writable.getWriter().write(new Uint8Array(1));
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    server.abort(new Error("enough"));
    await assertRejects(() => reading, Error, "enough");
    socket.abort();
  }));
