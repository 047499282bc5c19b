import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Connection, ConnectionClosedError } from "../duplex.ts";
import { connectUnix, listenUnix } from "../socket/mod.ts";
import {
  connectTcp,
  listenTcp,
  splice,
  spliceConnections,
} from "../tcp/mod.ts";
import { countDescriptors, temporaryDirectory } from "./_tools.ts";

const linux = Deno.build.os === "linux";

function pattern(length: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let at = 0; at < words.length; at++) words[at] = at * 2654435761;
  return new Uint8Array(words.buffer, 0, length);
}

async function digest(bytes: Uint8Array): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", bytes as BufferSource);
  return new Uint8Array(hash).toHex();
}

async function send(connection: Connection, bytes: Uint8Array): Promise<void> {
  const writer = connection.writable.getWriter();
  for (let at = 0; at < bytes.length; at += 100_003) {
    await writer.write(bytes.subarray(at, at + 100_003));
  }
  await writer.close();
}

/** Sends until the connection is gone. */
async function sendForever(connection: Connection): Promise<void> {
  const writer = connection.writable.getWriter();
  try {
    for (;;) await writer.write(new Uint8Array(100_000));
  } catch { // it is gone
  }
}

async function readAll(connection: Connection): Promise<Uint8Array> {
  const chunks = await Array.fromAsync(connection.readable);
  return await new Blob(chunks as BlobPart[]).bytes();
}

interface Line extends AsyncDisposable {
  client: Connection;
  front: Connection;
  back: Connection;
  server: Connection;
}

/** client - front, and back - server, which a proxy is to join. */
async function line(first: "tcp" | "unix", second: "tcp" | "unix") {
  const directory = await temporaryDirectory();
  const ends: Connection[] = [];
  for (const [index, scheme] of [first, second].entries()) {
    const path = `${directory.path}/${index}.sock`;
    if (scheme === "tcp") {
      await using listener = await listenTcp();
      ends.push(
        ...await Promise.all([
          connectTcp(listener),
          listener.accept(),
        ]),
      );
    } else {
      await using listener = await listenUnix({ path });
      ends.push(
        ...await Promise.all([
          connectUnix({ path }),
          listener.accept(),
        ]),
      );
    }
  }
  const [client, front, back, server] = ends;
  return {
    client,
    front,
    back,
    server,
    async [Symbol.asyncDispose]() {
      for (const end of ends) end.abort();
      await directory[Symbol.asyncDispose]();
    },
  } satisfies Line;
}

for (
  const [first, second] of [
    ["tcp", "tcp"],
    ["tcp", "unix"],
    ["unix", "tcp"],
    ["unix", "unix"],
  ] as const
) {
  Deno.test(`spliceConnections carries bytes both ways, ${first} to ${second}`, async () => {
    await using ends = await line(first, second);
    const there = pattern(9_000_001);
    const back = pattern(7_000_000).toReversed();
    const joined = spliceConnections(ends.front, ends.back);
    const [, , received, returned] = await Promise.all([
      send(ends.client, there),
      send(ends.server, back),
      readAll(ends.server),
      readAll(ends.client),
    ]);
    assertEquals(await digest(received), await digest(there));
    assertEquals(await digest(returned), await digest(back));
    const { forward, backward } = await joined;
    assertEquals(forward.bytes, there.length);
    assertEquals(backward.bytes, back.length);
    if (linux) {
      assert(forward.moved + backward.moved > 1_000_000, "nothing was moved");
    }
    await Promise.all([ends.front.closed, ends.back.closed]);
  });
}

Deno.test("splice passes small messages on at once, and half-close", async () => {
  await using ends = await line("tcp", "tcp");
  const joined = spliceConnections(ends.front, ends.back);
  const writer = ends.client.writable.getWriter();
  const reader = ends.server.readable.getReader();
  for (let round = 0; round < 20; round++) {
    await writer.write(new Uint8Array([round]));
    assertEquals((await reader.read()).value, new Uint8Array([round]));
  }
  await writer.close();
  assert((await reader.read()).done);
  // The other way is still open.
  await send(ends.server, new Uint8Array([7]));
  assertEquals(await readAll(ends.client), new Uint8Array([7]));
  assertEquals((await joined).forward, { bytes: 20, moved: 0 });
});

Deno.test("splice holds back a sender whose receiver does not read", async () => {
  await using ends = await line("tcp", "tcp");
  const spliced = splice(ends.front, ends.back);
  let written = 0;
  const bytes = pattern(64 << 20);
  const sending = (async () => {
    const writer = ends.client.writable.getWriter();
    for (let at = 0; at < bytes.length; at += 1 << 20) {
      await writer.write(bytes.subarray(at, at + (1 << 20)));
      written += 1 << 20;
    }
    await writer.close();
  })();
  // It stands still once the sockets are full.
  for (let before = -1; before !== written;) {
    before = written;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert(written < 40 << 20, `${written} bytes fit no socket`);
  const received = await readAll(ends.server);
  await sending;
  assertEquals(received.length, bytes.length);
  assertEquals(await digest(received), await digest(bytes));
  assertEquals((await spliced).bytes, bytes.length);
});

Deno.test("splice stops after a length and leaves the rest unread", async () => {
  await using ends = await line("tcp", "unix");
  const bytes = pattern(1_000_000);
  const sending = send(ends.client, bytes);
  const first = splice(ends.front, ends.back, {
    length: 600_001,
    preventClose: true,
  });
  const received = readAll(ends.server);
  assertEquals((await first).bytes, 600_001);
  const rest = await readAll(ends.front);
  assertEquals(await digest(rest), await digest(bytes.subarray(600_001)));
  await ends.back.close();
  assertEquals(
    await digest(await received),
    await digest(bytes.subarray(0, 600_001)),
  );
  await sending;
});

Deno.test("spliceConnections aborts both sides when one is lost", async () => {
  for (const lost of ["client", "server"] as const) {
    await using ends = await line("tcp", "tcp");
    const joined = spliceConnections(ends.front, ends.back);
    const failed = assertRejects(() => joined);
    const writer = ends.client.writable.getWriter();
    const writing = (async () => {
      for (;;) await writer.write(new Uint8Array(1 << 20));
    })();
    const stopped = assertRejects(() => writing);
    // Freed over unread bytes, or sent more, its socket answers with a reset.
    if (lost === "client") {
      sendForever(ends.server);
      readAll(ends.server).catch(() => {}); // or all would stand still
    }
    const reader = ends[lost].readable.getReader();
    await reader.read();
    reader.releaseLock();
    ends[lost].abort();
    await Promise.all([failed, stopped]);
    await assertRejects(() => ends.back.closed);
    await assertRejects(() => ends.front.closed);
  }
});

Deno.test("splice ends with its signal", async () => {
  await using ends = await line("tcp", "tcp");
  const stop = new AbortController();
  const joined = spliceConnections(ends.front, ends.back, {
    signal: stop.signal,
  });
  stop.abort(new Error("enough"));
  await assertRejects(() => joined, Error, "enough");
  await assertRejects(() => ends.front.closed, Error, "enough");
  await assertRejects(
    () => splice(ends.front, ends.back, { signal: AbortSignal.abort() }),
    DOMException,
  );
});

Deno.test("splice refuses locked streams and bad lengths", async () => {
  await using ends = await line("tcp", "tcp");
  await assertRejects(
    () => splice(ends.front, ends.back, { length: -1 }),
    RangeError,
    "Invalid length",
  );
  const reader = ends.front.readable.getReader();
  await assertRejects(
    () => splice(ends.front, ends.back),
    TypeError,
    "readable is locked",
  );
  reader.releaseLock();
  const writer = ends.back.writable.getWriter();
  await assertRejects(
    () => splice(ends.front, ends.back),
    TypeError,
    "writable is locked",
  );
  writer.releaseLock();
  await ends.back.close();
  await send(ends.client, new Uint8Array(1));
  await assertRejects(() => splice(ends.front, ends.back));
});

Deno.test("splice joins any streams", async () => {
  await using ends = await line("tcp", "tcp");
  const through = new TransformStream<Uint8Array, Uint8Array>();
  const bytes = pattern(300_000);
  const received = readAll(ends.server);
  const first = splice(ends.front, through);
  const second = splice(through, ends.back);
  await send(ends.client, bytes);
  assertEquals(await digest(await received), await digest(bytes));
  assertEquals(await first, { bytes: bytes.length, moved: 0 });
  assertEquals(await second, { bytes: bytes.length, moved: 0 });
});

Deno.test({
  name: "splice leaves no descriptor behind",
  ignore: !linux,
  async fn() {
    const before = countDescriptors();
    for (let round = 0; round < 4; round++) {
      await using ends = await line("tcp", "tcp");
      const joined = spliceConnections(ends.front, ends.back);
      const failed = assertRejects(() => joined, ConnectionClosedError);
      const writer = ends.client.writable.getWriter();
      for (let at = 0; at < 4; at++) {
        await writer.write(new Uint8Array(1e6))
          .catch(() => {});
      }
      ends.server.abort();
      await failed;
    }
    assertEquals(countDescriptors(), before);
  },
});
