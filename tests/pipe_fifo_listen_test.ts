// `fifo:` addresses: the rendezvous, and who may disturb it.

import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect, listen } from "../mod.ts";
import { ConnectionClosedError, type Listener } from "../duplex.ts";
import { connectFifo, listenFifo, mkfifo, openFifo } from "../pipe/mod.ts";
import {
  countDescriptors,
  hasProgram,
  startDenoPeer,
  startPeer,
  temporaryDirectory,
} from "./_tools.ts";

const ignore = Deno.build.os === "windows";
const linux = Deno.build.os === "linux";
const names = (directory: string) =>
  [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
const bytes = (value: string) => new TextEncoder().encode(value);

function test(
  name: string,
  fn: (path: string, directory: string) => Promise<void>,
  skip = false,
): void {
  Deno.test({
    name,
    ignore: ignore || skip,
    async fn() {
      await using directory = await temporaryDirectory();
      const before = linux ? countDescriptors() : 0;
      await fn(`${directory.path}/a`, directory.path);
      if (linux) assertEquals(countDescriptors(), before);
      assertEquals(names(directory.path), []);
    },
  });
}

async function echo(path: string): Promise<void> {
  const connection = await connectFifo({ path });
  const writer = connection.writable.getWriter();
  await writer.write(bytes("ping"));
  const { value } = await connection.readable.getReader().read();
  assertEquals(value, bytes("ping"));
  await connection.close();
}

const python = (...args: string[]) =>
  startPeer("python3", [
    fileURLToPath(new URL("peers/fifo_client.py", import.meta.url)),
    ...args,
  ]);
const noPython = !hasProgram("python3");

test(
  "connect and listen take fifo: addresses in any order of accept",
  async (path, directory) => {
    await using listener = await listen(`fifo:${path}`);
    assertEquals(listener.address, `fifo:${path}`);
    const clients = [];
    for (let count = 0; count < 5; count++) {
      clients.push(await connect(listener.address)); // nobody accepts yet
    }
    assertEquals(names(directory), ["a"]); // connections have no names
    for (const [index, client] of clients.entries()) {
      await client.writable.getWriter().write(new Uint8Array([index]));
    }
    for (let count = 0; count < 5; count++) {
      const server = await listener.accept();
      const { value } = await server.readable.getReader().read();
      assertEquals(value, new Uint8Array([count]));
      server.abort();
    }
    for (const client of clients) client.abort();
  },
);

test("a client waits while the backlog is full, and no longer than its timeout", async (path) => {
  await using listener = await listenFifo({ path, backlog: 1 });
  const first = await connectFifo({ path });
  await assertRejects(() => connectFifo({ path, timeout: 30 }), DOMException);
  const second = connectFifo({ path });
  const accepted = [await listener.accept(), await listener.accept()];
  for (const one of [first, await second, ...accepted]) one.abort();
});

test("a client waits for the listener with retry", async (path) => {
  const connecting = connectFifo({ path, retry: { minDelay: 5 } });
  await using listener = await listenFifo({ path });
  await using client = await connecting;
  await using server = await listener.accept();
  client.abort();
  server.abort();
});

test("connectFifo says who is missing", async (path) => {
  await assertRejects(
    () => connectFifo({ path }),
    Deno.errors.NotFound,
    "is the server running?",
  );
  await Deno.writeTextFile(path, "precious");
  await assertRejects(
    () => connectFifo({ path }),
    Deno.errors.InvalidData,
    "a regular file",
  );
  await assertRejects(
    () => listenFifo({ path }),
    Deno.errors.AlreadyExists,
    "is no FIFO",
  );
  assertEquals(await Deno.readTextFile(path), "precious");
  await Deno.remove(path);
  using _stale = await mkfifo(path);
  await assertRejects(
    () => connectFifo({ path }),
    Deno.errors.ConnectionRefused,
    "the FIFO is stale",
  );
});

test("a FIFO that somebody reads but does not answer ends by timeout", async (path) => {
  using _fifo = await mkfifo(path);
  await using _reader = await openFifo(path, "read", { keepOpen: true });
  const error = await assertRejects(
    () => connectFifo({ path, timeout: 30 }),
    DOMException,
    `Cannot connect to fifo:${path}`,
  );
  assertEquals(error.name, "TimeoutError");
});

test("listenFifo replaces a killed listener's FIFO, and no live one", async (path) => {
  await using peer = startDenoPeer("fifo_peer.ts", "listen", path);
  assertEquals(await peer.line(), "listening");
  await echo(path);
  await assertRejects(
    () => listenFifo({ path }),
    Deno.errors.AddrInUse,
    "another process listens there",
  );
  await echo(path); // it was not disturbed
  const connection = await connectFifo({ path });
  await peer.kill();
  const { done } = await connection.readable.getReader().read();
  assertEquals(done, true);
  await assertRejects(
    () => connection.writable.getWriter().write(bytes("x")),
    ConnectionClosedError,
  );
  assertEquals(Deno.statSync(path).isFifo, true); // what SIGKILL leaves
  await using listener = await listenFifo({ path });
  const [client, server] = await Promise.all([
    connectFifo({ path }),
    listener.accept(),
  ]);
  client.abort();
  server.abort();
});

test("of many starters at one path exactly one listens", async (path) => {
  const results = await Promise.allSettled(
    Array.from({ length: 8 }, () => listenFifo({ path })),
  );
  const won = results.filter(({ status }) => status === "fulfilled");
  assertEquals(won.length, 1);
  for (const result of results) {
    if (result.status === "fulfilled") await result.value.close();
    else assert(result.reason instanceof Deno.errors.AddrInUse, result.reason);
  }
});

test("a listener that closes leaves the FIFO of whoever comes after it alone", async (path) => {
  let listening = 0;
  const starter = async () => {
    for (let round = 0; round < 40;) {
      let listener: Listener;
      try {
        listener = await listenFifo({ path });
      } catch (error) {
        assert(error instanceof Deno.errors.AddrInUse, String(error));
        await new Promise((go) => setTimeout(go, Math.random() * 4));
        continue;
      }
      round++;
      assertEquals(++listening, 1);
      assert(Deno.lstatSync(path).isFifo);
      await new Promise((go) => setTimeout(go, Math.random() * 2));
      assert(Deno.lstatSync(path).isFifo);
      listening--;
      await listener.close();
    }
  };
  await Promise.all([starter(), starter(), starter()]);
});

test("a killed client ends its connection", async (path) => {
  await using listener = await listenFifo({ path });
  await using peer = startDenoPeer("fifo_peer.ts", "connect", path);
  const server = await listener.accept();
  assertEquals(await peer.line(), "connected");
  await peer.kill();
  assertEquals(
    await new Response(server.readable as BodyInit).bytes(),
    new Uint8Array([7]),
  );
  await assertRejects(
    () => server.writable.getWriter().write(bytes("x")),
    ConnectionClosedError,
  );
  await server.close();
});

test(
  "a listener removes what clients left that were killed as they connected",
  async (path, directory) => {
    await using _listener = await listenFifo({ path });
    const pair = (letter: string) =>
      ["up", "down"].map((end) => `${path}.${letter.repeat(16)}.${end}`);
    const [dead, dying, young, slow] = ["a", "b", "c", "d"].map(pair);
    const made = [...dead, dying[1], ...young, ...slow];
    const long = new Date(Date.now() - 60_000);
    for (const name of made) {
      await mkfifo(name);
      if (!young.includes(name)) await Deno.utime(name, long, long);
    }
    // A client that still waits for its answer.
    await using _waiting = await openFifo(slow[1], "read", { keepOpen: true });
    const client = await connectFifo({ path });
    assertEquals(
      names(directory),
      [path, ...young, ...slow].map((name) => name.slice(directory.length + 1))
        .sort(),
    );
    client.abort();
  },
);

test("closing a listener refuses who waits, and keeps what was accepted", async (path) => {
  const listener = await listenFifo({ path, backlog: 1 });
  const first = await connectFifo({ path });
  const server = await listener.accept();
  const queued = await connectFifo({ path });
  const waiting = connectFifo({ path });
  const accepting = listener.accept().then((one) => one.abort());
  await accepting;
  const later = await waiting;
  const refused = [connectFifo({ path }), connectFifo({ path })];
  const settled = Promise.allSettled(refused);
  await listener.close();
  for (const result of await settled) {
    // One may have found the place that the other waits for.
    if (result.status === "fulfilled") result.value.abort();
    else assert(result.reason instanceof Error);
  }
  await assertRejects(() => listener.accept(), ConnectionClosedError);
  await server.writable.getWriter().write(bytes("still"));
  const { value } = await first.readable.getReader().read();
  assertEquals(value, bytes("still"));
  for (const one of [first, server, queued, later]) one.abort();
});

test("a listener passes over what is no request", async (path, directory) => {
  await using listener = await listenFifo({ path });
  await using hostile = await openFifo(path, "write");
  const outside = await Deno.makeTempFile();
  for (
    const request of [
      "x".repeat(4000),
      "\n\n\n",
      "../../etc/passwd\n",
      "0123456789abcdef", // no end: the next one starts with one
      "\n0123456789abcdef\n", // nothing there
      "\nfedcba9876543210\n", // files and links instead of FIFOs
    ]
  ) {
    if (request.includes("fedc")) {
      await Deno.writeTextFile(`${path}.fedcba9876543210.up`, "");
      await Deno.symlink(outside, `${path}.fedcba9876543210.down`);
    }
    await hostile.writeAtomic(bytes(request));
    const [client, server] = await Promise.all([
      connectFifo({ path }),
      listener.accept(),
    ]);
    client.abort();
    server.abort();
  }
  assertEquals(Deno.readTextFileSync(outside), "");
  await Deno.remove(outside);
  for (const name of names(directory)) {
    if (name !== "a") await Deno.remove(`${directory}/${name}`);
  }
});

test("a Python client that knows only the docs is served", async (path) => {
  await using listener = await listenFifo({ path });
  await using peer = python(path);
  const server = await listener.accept();
  const said = await new Response(server.readable as BodyInit).text();
  assertEquals(said, "hello from Python\n");
  await server.writable.getWriter().write(bytes("hello from Deno\n"));
  await server.close();
  assertEquals(await peer.line(), "hello from Deno");
}, noPython);

test(
  "listenFifo refuses a directory where anybody may replace the FIFO",
  async (path, directory) => {
    await Deno.chmod(directory, 0o777);
    await assertRejects(
      () => listenFifo({ path }),
      Deno.errors.PermissionDenied,
      `any user can write to ${directory} (mode 777) and replace the FIFO`,
    );
    await using _allowed = await listenFifo({
      path,
      allowUnsafeDirectory: true,
    });
    await Deno.chmod(directory, 0o1777);
    await using _sticky = await listenFifo({ path: `${directory}/b` });
  },
);

test(
  "clients killed while they connect leave no file",
  async (path, directory) => {
    const listener = await listenFifo({ path });
    await using before = python(path, "killed");
    await before.status;
    assertEquals(names(directory).length, 3); // the listener knows of none
    await using after = python(path, "killed later");
    await after.status;
    const [client, server] = await Promise.all([
      connectFifo({ path }),
      listener.accept(),
    ]);
    client.abort();
    server.abort();
    assertEquals(names(directory).length, 3);
    await listener.close();
  },
  noPython,
);
