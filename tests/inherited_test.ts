import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type Connection,
  ConnectionClosedError,
  type Listener,
} from "../duplex.ts";
import { inheritedListeners } from "../socket/mod.ts";
import {
  connectUnix,
  handOver,
  listenUnix,
  receiveListener,
  sendDescriptor,
} from "../socket/mod.ts";
import { connectTcp, listenTcp } from "../tcp/mod.ts";
import {
  countDescriptors,
  hasProgram,
  type Peer,
  startDenoPeer,
  startPeer,
  temporaryDirectory,
} from "./_tools.ts";

const linux = Deno.build.os === "linux";
const test = (name: string, fn: () => Promise<void>, ignore = false) =>
  Deno.test({ name, fn, ignore: !linux || ignore });
const python = !hasProgram("python3");

const peerPath = (name: string) =>
  fileURLToPath(new URL(`peers/${name}`, import.meta.url));
const server = () => [
  Deno.execPath(),
  "run",
  "-A",
  peerPath("inherited_server.ts"),
];

function connectTo(address: string): Promise<Connection> {
  return address.startsWith("unix:")
    ? connectUnix({ path: address.slice(5) })
    : connectTcp({ port: Number(address.split(":").at(-1)) });
}

/** Sends a byte and its end, and returns all that comes back. */
async function ask(connection: Connection): Promise<string> {
  const writer = connection.writable.getWriter();
  await writer.write(new TextEncoder().encode("."));
  await writer.close();
  const chunks = await Array.fromAsync(connection.readable);
  await connection.close();
  return await new Blob(chunks as BlobPart[]).text();
}

test(
  "inheritedListeners serves what was connected before the start",
  async () => {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/a.sock`;
    await using peer = startPeer("python3", [
      peerPath("activator.py"),
      "web:admin",
      "own",
      "tcp",
      `unix:${path}`,
      "--",
      ...server(),
    ]);
    const port = Number(await peer.line());
    const early = await connectTcp({ port }); // the server is not up yet
    assertEquals(
      await peer.line(),
      `ready 0 web=tcp:127.0.0.1:${port} admin=unix:${path}`,
    );
    assertEquals(await ask(early), "web.");
    assertEquals(await ask(await connectUnix({ path })), "admin.");
    const many = await Promise.all(
      Array.from({ length: 200 }, async (_, index) =>
        await ask(
          index % 2 === 0
            ? await connectTcp({ port })
            : await connectUnix({ path, retry: true }),
        )),
    );
    assertEquals(new Set(many), new Set(["web.", "admin."]));
  },
  python,
);

test(
  "an inherited listener that nobody waits for lets its program end",
  async () => {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/a.sock`;
    await using peer = startPeer("python3", [
      peerPath("activator.py"),
      "web",
      "own",
      `unix:${path}`,
      "--",
      ...[Deno.execPath(), "run", "-A", peerPath("inherited_once.ts")],
    ]);
    assertEquals(await peer.line(), "ready");
    (await connectUnix({ path })).abort();
    assertEquals(await peer.line(), "served");
    const late = setTimeout(() => peer.process.kill("SIGKILL"), 10_000);
    assertEquals((await peer.status).code, 0);
    clearTimeout(late);
  },
  python,
);

test("inheritedListeners works under systemd-socket-activate", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  await using peer = startPeer("systemd-socket-activate", [
    "--listen",
    path,
    "--fdname=greeter",
    `--setenv=PATH=${Deno.env.get("PATH")}`,
    `--setenv=HOME=${Deno.env.get("HOME") ?? "/"}`,
    ...server(),
  ]);
  // It starts the program when the first connection comes.
  const connection = await connectUnix({
    path,
    retry: { retries: 100, maxDelay: 50 },
  });
  assertEquals(await ask(connection), "greeter.");
  assertEquals(await peer.line(), `ready 0 greeter=unix:${path}`);
}, !hasProgram("systemd-socket-activate"));

test("inheritedListeners gives none that are for another process", async () => {
  await using peer = startPeer("python3", [
    peerPath("activator.py"),
    "web",
    "1",
    "tcp",
    "--",
    ...server(),
  ]);
  await peer.line();
  assertEquals(await peer.line(), "ready 1"); // the variables are left alone
  assertEquals((await peer.status).code, 0);
}, python);

test("inheritedListeners refuses what is no listener", async () => {
  for (
    const [kind, env, message] of [
      ["udp", {}, "descriptor 3 is no listening stream socket"],
      ["file", {}, "descriptor 3 is no listening stream socket"],
      ["tcp", { TEST_COUNT: "-1" }, 'LISTEN_FDS is "-1"'],
      ["tcp", { TEST_COUNT: "9999" }, 'LISTEN_FDS is "9999"'],
    ] as const
  ) {
    const { code, stderr } = await new Deno.Command("python3", {
      args: [peerPath("activator.py"), "web", "own", kind, "--", ...server()],
      env: { ...env, NO_COLOR: "1" },
      stdout: "null",
    }).output();
    const text = new TextDecoder().decode(stderr);
    assertEquals(code, 1, text);
    assert(text.includes(message), text);
  }
}, python);

test("inheritedListeners gives none in a process started otherwise", () => {
  assertEquals(inheritedListeners(), []);
  return Promise.resolve();
});

for (const scheme of ["tcp", "unix"] as const) {
  test(`handOver passes a ${scheme} listener on, and no client notices`, async () => {
    await using directory = await temporaryDirectory();
    const control = `${directory.path}/control.sock`;
    const wanted = scheme === "tcp"
      ? "tcp:"
      : `unix:${directory.path}/service.sock`;
    const peers: Peer[] = [];
    const start = async (...args: string[]) => {
      const peer = startDenoPeer(
        "successor.ts",
        control,
        String(peers.length + 1),
        ...args,
      );
      peers.push(peer);
      return await peer.line();
    };
    try {
      const address = await start(wanted);
      let stop = false;
      const seen = new Map<string, number>();
      const client = async () => {
        while (!stop) {
          const answer = await ask(await connectTo(address));
          seen.set(answer, (seen.get(answer) ?? 0) + 1);
        }
      };
      const clients = Array.from({ length: 40 }, client);
      const all = Promise.all(clients);
      const reached = async (generation: string) => {
        while (!seen.has(generation)) {
          await Promise.race([
            all,
            new Promise((resolve) => setTimeout(resolve, 1)),
          ]);
        }
      };
      await reached("1");
      // A connection that is open goes on in the process that has it.
      const old = await connectTo(address);
      for (let generation = 2; generation <= 4; generation++) {
        assertEquals(await start(), address);
        const before = peers[generation - 2];
        assertEquals(await before.line(), "handed over");
        await reached(String(generation));
        if (generation === 2) {
          const answer = await ask(old);
          assert(answer === "1" || answer === "2", answer);
        }
        assertEquals(await before.line(), "done");
        assertEquals((await before.status).code, 0);
      }
      stop = true;
      await all; // no client was refused, reset, or left without an answer
      assertEquals([...seen.keys()].sort(), ["1", "2", "3", "4"]);
    } finally {
      for (const peer of peers) await peer.kill();
    }
  });
}

async function controls(directory: string) {
  const path = `${directory}/control.sock`;
  await using listener = await listenUnix({ path });
  const [client, server] = await Promise.all([
    connectUnix({ path }),
    listener.accept(),
  ]);
  return {
    client,
    server,
    [Symbol.dispose]() {
      client.abort();
      server.abort();
    },
  };
}

test("handOver leaves the listener as it was when the successor fails", async () => {
  await using directory = await temporaryDirectory();
  await using listener = await listenTcp();
  {
    using ends = await controls(directory.path);
    await assertRejects(
      () => handOver(listener, ends.server, { timeout: 20 }),
      DOMException,
      "timed out",
    );
  }
  {
    using ends = await controls(directory.path);
    const handing = handOver(listener, ends.server);
    await ends.client.close();
    await assertRejects(() => handing, ConnectionClosedError);
  }
  {
    using ends = await controls(directory.path);
    const writer = ends.client.writable.getWriter();
    await writer.write(new Uint8Array([9]));
    await assertRejects(
      () => handOver(listener, ends.server),
      Deno.errors.InvalidData,
      "answered with byte 9",
    );
  }
  const [client, accepted] = await Promise.all([
    connectTcp(listener),
    listener.accept(),
  ]);
  client.abort();
  accepted.abort();
});

test("handOver loses no connection while a hundred clients hurry", async () => {
  await using directory = await temporaryDirectory();
  let listener: Listener = await listenTcp();
  const { address } = listener;
  let served = 0;
  const serve = async (from: Listener) => {
    for await (const connection of from) {
      write(connection).catch(() => {});
      // Now and then it falls behind, so that some wait to be taken.
      if (++served % 50 === 0) await new Promise((go) => setTimeout(go, 3));
    }
  };
  const write = async (connection: Connection) => {
    const writer = connection.writable.getWriter();
    await writer.write(new Uint8Array([1]));
    await connection.close();
  };
  const serving = [serve(listener)];
  let stop = false;
  let answered = 0;
  const client = async () => {
    for (; !stop; answered++) {
      const connection = await connectTo(address);
      assertEquals((await Array.fromAsync(connection.readable)).length, 1);
      await connection.close();
    }
  };
  const clients = Promise.all(Array.from({ length: 100 }, client));
  for (let generation = 0; generation < 8; generation++) {
    const before = answered;
    while (answered < before + 150) {
      await Promise.race([clients, new Promise((go) => setTimeout(go, 1))]);
    }
    using ends = await controls(directory.path);
    const [next] = await Promise.all([
      receiveListener(ends.client),
      handOver(listener, ends.server),
    ]);
    listener = next;
    serving.push(serve(next));
  }
  stop = true;
  await clients;
  assertEquals(answered, served);
  await listener.close();
  await Promise.all(serving);
});

test("handOver ends iterating, and gives out what was accepted", async () => {
  await using directory = await temporaryDirectory();
  using ends = await controls(directory.path);
  const listener = await listenTcp();
  const iterated = (async () => {
    let count = 0;
    for await (const connection of listener) {
      count++;
      connection.abort();
    }
    return count;
  })();
  const [received] = await Promise.all([
    receiveListener(ends.client),
    handOver(listener, ends.server),
  ]);
  await using successor = received;
  assertEquals(await iterated, 0);
  await assertRejects(() => listener.accept(), ConnectionClosedError);
  await listener.close();
  // More than may wait in the process: the rest stay in the backlog.
  const clients = await Promise.all(
    Array.from({ length: 150 }, () => connectTcp({ port: listener.port })),
  );
  for (let at = 0; at < clients.length; at++) {
    (await successor.accept()).abort();
  }
  for (const client of clients) client.abort();
});

test("a received Unix listener removes its path when closed, and leaves nothing", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/service.sock`;
  const before = countDescriptors();
  {
    using ends = await controls(directory.path);
    const listener = await listenUnix({ path });
    const [received] = await Promise.all([
      receiveListener(ends.client, { allow: () => false }),
      handOver(listener, ends.server),
    ]);
    await listener.close();
    // The one who may not connect is cut off, as before.
    const accepting = received.accept().catch((error: Error) => error.name);
    const connection = await connectUnix({ path });
    assertEquals(await Array.fromAsync(connection.readable), []);
    await connection.close();
    await received.close();
    assertEquals(await accepting, "ConnectionClosedError");
    await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
  }
  await new Promise((resolve) => setTimeout(resolve, 10));
  assertEquals(countDescriptors(), before);
});

test("receiveListener keeps the listener of a process that was killed meanwhile", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/service.sock`;
  const control = `${directory.path}/control.sock`;
  await using peer = startPeer(Deno.execPath(), [
    "eval",
    `import { handOver, listenUnix } from ${
      JSON.stringify(new URL("../socket/mod.ts", import.meta.url).href)
    };
    const listener = await listenUnix({ path: ${JSON.stringify(path)} });
    const controls = await listenUnix({ path: ${JSON.stringify(control)} });
    console.log("ready");
    const handing = handOver(listener, await controls.accept());
    await new Promise((go) => setTimeout(go, 10)); // it is sent by now
    console.log("sent");
    await handing;`,
  ]);
  await peer.line();
  await using predecessor = await connectUnix({ path: control });
  assertEquals(await peer.line(), "sent");
  const waiting = await connectUnix({ path }); // in its backlog
  await peer.kill();
  await using listener = await receiveListener(predecessor);
  const accepted = await listener.accept();
  accepted.abort();
  waiting.abort();
  await listener.close();
  await assertRejects(() => Deno.lstat(path), Deno.errors.NotFound);
});

test("receiveListener leaves the listener to a process that gave up", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/service.sock`;
  await using listener = await listenUnix({ path });
  using ends = await controls(directory.path);
  await assertRejects(
    () => handOver(listener, ends.server, { timeout: 5 }),
    DOMException,
  );
  ends.server.abort();
  await assertRejects(() => ends.server.closed);
  await new Promise((go) => setTimeout(go, 5)); // the kernel knows it too
  await assertRejects(
    () => receiveListener(ends.client),
    ConnectionClosedError,
  );
  const client = await connectUnix({ path });
  (await listener.accept()).abort();
  client.abort();
});

test("receiveListener refuses what is no listener", async () => {
  await using directory = await temporaryDirectory();
  using ends = await controls(directory.path);
  const refused = assertRejects(
    () => receiveListener(ends.client),
    Deno.errors.InvalidData,
    "a file came",
  );
  using file = await Deno.open(import.meta.filename!);
  await sendDescriptor(ends.server, file);
  await refused;
  await assertRejects(
    () =>
      handOver(
        { address: "x:" } as unknown as Parameters<typeof handOver>[0],
        ends.server,
      ),
    TypeError,
    "no listener of tcp: or unix:",
  );
});
