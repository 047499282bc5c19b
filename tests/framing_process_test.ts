// Channels between two processes.

import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConnectionClosedError } from "../duplex.ts";
import {
  bytes,
  channel,
  FrameError,
  json,
  lines,
  text,
} from "../framing/mod.ts";
import { connectUnix, listenUnix } from "../socket/mod.ts";
import { Random } from "./_random.ts";
import {
  hasProgram,
  startDenoPeer,
  startPeer,
  temporaryDirectory,
} from "./_tools.ts";

const unix = Deno.build.os !== "windows";
const python = unix && hasProgram("python3");
const script = fileURLToPath(new URL("peers/framing_peer.py", import.meta.url));

function test(name: string, ignore: boolean, fn: () => Promise<void>) {
  Deno.test({ name, ignore, fn });
}

test("a Python peer exchanges frames with a channel", !python, async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  await using listener = await listenUnix({ path });
  await using peer = startPeer("python3", [script, path, "echo"]);
  {
    await using both = channel<Uint8Array>(await listener.accept(), {
      codec: bytes,
      timeout: 20_000,
    });
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = new Random(seed);
    const payloads = Array.from(
      { length: 200 },
      (_, i) => random.bytes(i === 100 ? 300_000 : random.below(200)),
    );
    const sending = (async () => {
      for (const payload of payloads) await both.send(payload.slice());
    })();
    for (const payload of payloads) {
      assertEquals(await both.receive(), payload.toReversed(), `seed ${seed}`);
    }
    await sending;
  }
  assertEquals((await peer.status).code, 0);
});

test(
  "a Python peer exchanges lines of JSON with a channel",
  !python,
  async () => {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/a.sock`;
    await using listener = await listenUnix({ path });
    await using _peer = startPeer("python3", [script, path, "lines"]);
    await using both = channel(await listener.accept(), {
      format: lines(),
      codec: json,
      timeout: 20_000,
    });
    await both.send({ name: "größe" });
    assertEquals(await both.receive(), { NAME: "GRÖSSE" });
  },
);

test(
  "a peer killed inside a frame: how many bytes came of how many",
  !python,
  async () => {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/a.sock`;
    await using listener = await listenUnix({ path });
    await using peer = startPeer("python3", [script, path, "truncate"]);
    await using both = channel<Uint8Array>(await listener.accept(), {
      codec: bytes,
    });
    const waiting = assertRejects(() => both.receive(), FrameError);
    await both.send(new Uint8Array(1));
    const error = await waiting;
    assertEquals(
      error.message,
      "Cannot decode frame: the stream ended after 12 of 40 bytes",
    );
    assertEquals(error.code, "truncated");
    assertEquals((await peer.status).signal, "SIGKILL");
  },
);

test("a peer killed between frames rejects what waits", !unix, async () => {
  await using directory = await temporaryDirectory();
  const paths = ["data", "control"].map((name) => `${directory.path}/${name}`);
  await using dataListener = await listenUnix({ path: paths[0] });
  await using controlListener = await listenUnix({ path: paths[1] });
  await using peer = startDenoPeer("slow_receiver.ts", ...paths);
  await using data = channel(await dataListener.accept(), { codec: bytes });
  await using _control = channel(await controlListener.accept());
  const receiving = assertRejects(() => data.receive(), ConnectionClosedError);
  const sending = assertRejects(async () => {
    for (;;) await data.send(new Uint8Array(64 * 1024));
  }, ConnectionClosedError);
  await peer.kill();
  const codes = [(await receiving).code, (await sending).code];
  assert(codes.every((code) => code !== "closed"), codes.join());
});

test(
  "a slow receiver in another process bounds the sender's memory",
  !unix,
  async () => {
    const COUNT = 4000, LENGTH = 60_000, HIGH_WATER_MARK = 256 * 1024;
    await using directory = await temporaryDirectory();
    const paths = ["data", "control"].map((name) =>
      `${directory.path}/${name}`
    );
    await using dataListener = await listenUnix({ path: paths[0] });
    await using controlListener = await listenUnix({ path: paths[1] });
    await using _peer = startDenoPeer("slow_receiver.ts", ...paths);
    const data = channel<Uint8Array>(await dataListener.accept(), {
      codec: bytes,
      highWaterMark: HIGH_WATER_MARK,
    });
    await using control = channel<string>(await controlListener.accept(), {
      format: lines(),
      codec: text,
      timeout: 60_000,
    });

    const before = Deno.memoryUsage().rss;
    const payload = new Uint8Array(LENGTH);
    let sent = 0, mostQueued = 0, peak = 0;
    const observe = () => {
      mostQueued = Math.max(mostQueued, data.queuedBytes);
      peak = Math.max(peak, Deno.memoryUsage().rss - before);
    };
    // Nothing is received yet: sending stops by itself.
    for (let hasRoom = true; hasRoom; observe()) {
      hasRoom = await data.send(payload, { timeout: 100 })
        .then(() => true, () => false);
      if (hasRoom) sent++;
    }
    const unread = sent;
    assert(unread < 200, `${unread} messages were taken that nobody read`);
    await control.send("go");
    for (; sent < COUNT; sent++) {
      if (!data.trySend(payload)) await data.send(payload);
      observe();
    }
    await data.close();

    const { count, total, peak: theirs } = JSON.parse(await control.receive());
    assertEquals([count, total], [COUNT, COUNT * LENGTH]);
    // 240 MB went through. One frame may come on top of the mark.
    assert(mostQueued <= HIGH_WATER_MARK + LENGTH + 4, `${mostQueued} queued`);
    assert(peak < 100e6, `the sender grew by ${peak} bytes`);
    assert(theirs < 100e6, `the receiver grew by ${theirs} bytes`);
  },
);

test(
  "channel speaks through a child's stdin and stdout",
  !unix || !hasProgram("cat"),
  async () => {
    const child = new Deno.Command("cat", { stdin: "piped", stdout: "piped" })
      .spawn();
    const both = channel<number>({
      readable: child.stdout,
      writable: child.stdin,
    });
    for (let i = 0; i < 1000; i++) both.send(i);
    for (let i = 0; i < 1000; i++) assertEquals(await both.receive(), i);
    await both.close();
    await both.closed;
    assertEquals((await child.status).code, 0);
  },
);

test("channel takes a Deno.Conn as it is", !unix, async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  using listener = Deno.listen({ transport: "unix", path });
  const [left, right] = await Promise.all([
    Deno.connect({ transport: "unix", path }),
    listener.accept(),
  ]).then((conns) => conns.map((conn) => channel<number>(conn)));
  for (let i = 0; i < 100; i++) left.send(i);
  const closing = left.close();
  assertEquals((await Array.fromAsync(right)).length, 100);
  await Promise.all([closing, right.close()]);
});

test("both ends of a connection may close at once", !unix, async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  await using listener = await listenUnix({ path });
  for (let round = 0; round < 20; round++) {
    const [left, right] = await Promise.all([
      connectUnix({ path }),
      listener.accept(),
    ]).then((connections) => connections.map((one) => channel<number>(one)));
    left.send(1);
    right.send(2);
    await Promise.all([left.receive(), right.receive()]);
    await Promise.all([left.close(), right.close()]);
    await Promise.all([left.closed, right.closed]);
  }
});
