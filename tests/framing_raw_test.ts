// Channels read and write past the Web Streams of this package's connections.
// They must behave as over any other duplex: each test here runs over both.

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  type Connection,
  ConnectionClosedError,
  type Duplex,
} from "../duplex.ts";
import { rawIoOf, type RawSource } from "../_async/raw_io.ts";
import { BufferSource } from "../framing/_frame_source.ts";
import {
  bytes,
  channel,
  encodeFrame,
  FrameError,
  json,
  lengthPrefixed,
  text,
  varint,
} from "../framing/mod.ts";
import { ByteConnection, type ByteIo } from "../_transport/connection.ts";
import { connectUnix, listenUnix } from "../socket/mod.ts";
import { concat, duplexPair, encodeAll, FORMATS, utf8 } from "./_framing.ts";
import { Random } from "./_random.ts";
import { temporaryDirectory } from "./_tools.ts";

interface Ends {
  client: Connection;
  server: Connection;
}

/** Both ends of a connection over a Unix socket, gone with the scope. */
async function unixEnds(
  options: { idleTimeout?: number } = {},
): Promise<Ends & AsyncDisposable> {
  const directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  const listener = await listenUnix({ path, ...options });
  const connecting = connectUnix({ path, ...options });
  const server = await listener.accept();
  const client = await connecting;
  return {
    client,
    server,
    async [Symbol.asyncDispose]() {
      client.abort();
      server.abort();
      await listener.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

/** A connection that a channel does not know to be of this package. */
function plain(connection: Connection): Connection {
  return {
    readable: connection.readable,
    writable: connection.writable,
    local: connection.local,
    remote: connection.remote,
    closed: connection.closed,
    close: () => connection.close(),
    abort: (reason) => connection.abort(reason),
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

/** Runs `fn` on Unix sockets, with `wrap` around both ends. */
function testBoth(
  name: string,
  fn: (ends: Ends, wrap: (end: Connection) => Connection) => Promise<void>,
  options: { idleTimeout?: number } = {},
) {
  for (
    const [way, wrap] of [
      ["its own connection", (end: Connection) => end],
      ["any duplex", plain],
    ] as const
  ) {
    Deno.test({
      name: `channel over ${way} ${name}`,
      ignore: Deno.build.os === "windows",
      async fn() {
        await using ends = await unixEnds(options);
        await fn(ends, wrap);
      },
    });
  }
}

Deno.test({
  name: "a channel knows the connections of this package, and no others",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using ends = await unixEnds();
    const { client, server } = ends;
    assert(rawIoOf(client).source !== undefined);
    assert(rawIoOf(server).sink !== undefined);
    assertEquals(rawIoOf(plain(client)), {});
  },
});

Deno.test({
  name:
    "a socket takes one answer by a call for each read, and none once closed",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using ends = await unixEnds();
    const { client, server } = ends;
    for (const end of [client, server]) {
      const { source, sink } = rawIoOf(end);
      const message = new Uint8Array(10);
      assertEquals(sink!.tryWrite!(message), 0); // nothing that it answers
      const into = new Uint8Array(10);
      const count = new Promise<number | null>((onCount, onError) =>
        source!.read(into, { onCount, onError })
      );
      assertEquals(sink!.tryWrite!(message), 10);
      assertEquals(sink!.tryWrite!(message), 0);
      const other = end === client ? server : client;
      await rawIoOf(other).sink!.write(message);
      assertEquals(await count, 10);
    }
    const { source, sink } = rawIoOf(client);
    client.abort();
    source!.read(new Uint8Array(1), { onCount() {}, onError() {} });
    assertEquals(sink!.tryWrite!(new Uint8Array(10)), 0);
  },
});

for (const format of [lengthPrefixed(), varint()]) {
  testBoth(
    `keeps every message as it was, with ${format.name}`,
    async ({ client, server }, wrap) => {
      const options = { codec: bytes, format, timeout: 20_000 };
      const left = channel<Uint8Array>(wrap(client), options);
      const right = channel<Uint8Array>(wrap(server), options);
      const seed = Math.floor(Math.random() * 2 ** 31);
      const random = new Random(seed);
      const messages = [
        ...[0, 1, 64, 1020, 1024, 16_384, 65_536, 65_540, 300_000, 1_500_000],
        ...Array.from({ length: 60 }, () => random.below(100_000)),
        ...Array.from({ length: 400 }, () => random.below(300)),
      ].map((length) => random.bytes(length));
      const send = async (out: typeof left) => {
        for (const [i, message] of messages.entries()) {
          const payload = message.slice();
          // Whose the bytes are differs: all ways have to leave them alone.
          if (i % 3 === 0) await out.send(payload);
          else if (i % 3 === 1) await out.send(payload, { timeout: 20_000 });
          else if (!out.trySend(payload)) await out.send(payload);
          if (i % 3 !== 0) continue;
          payload.fill(0xee); // it is ours again
        }
      };
      const receive = async (input: typeof left) => {
        const received: Uint8Array[] = [];
        while (received.length < messages.length) {
          received.push(await input.receive());
        }
        return received;
      };
      const [, , one, other] = await Promise.all([
        send(left),
        send(right),
        receive(left),
        receive(right),
      ]);
      // Only now: what came later must not have touched what came before.
      for (const [i, message] of messages.entries()) {
        assertEquals(one[i], message, `message ${i}, seed ${seed}`);
        assertEquals(other[i], message, `message ${i}, seed ${seed}`);
      }
      await Promise.all([left.close(), right.close()]);
      await Promise.all([left.closed, right.closed]);
    },
  );
}

testBoth("names its peer in what send and receive say", async (ends, wrap) => {
  const client = channel(wrap(ends.client), { codec: text });
  const server = channel(wrap(ends.server), { codec: text });
  const { remote } = ends.client;

  await client.close();
  await assertRejects(
    () => server.receive(),
    ConnectionClosedError,
    `Cannot receive from a client of ${remote}: the peer ended the connection`,
  );
  for (const wait of [() => client.send("late"), () => client.receive()]) {
    await assertRejects(
      wait,
      ConnectionClosedError,
      ` to ${remote}: it was closed on this side`,
    );
  }
  await server.close();
});

testBoth(
  "refuses a locked stream and leaves the other free",
  ({ client, server }, wrap) => {
    const reader = client.readable.getReader();
    assertThrows(() => channel(wrap(client)), TypeError);
    assert(!client.writable.locked);
    reader.releaseLock();
    server.writable.getWriter();
    assertThrows(() => channel(wrap(server)), TypeError);
    assert(!server.readable.locked);
    return Promise.resolve();
  },
);

testBoth("locks both streams", ({ client }, wrap) => {
  channel(wrap(client));
  assertThrows(() => client.readable.getReader(), TypeError);
  assertThrows(() => client.writable.getWriter(), TypeError);
  return Promise.resolve();
});

testBoth(
  "loses nothing that an earlier reader asked for",
  async ({ client, server }, wrap) => {
    const reader = server.readable.getReader();
    const reading = reader.read();
    reader.releaseLock(); // the stream still reads
    await assertRejects(() => reading, TypeError);
    const out = channel<string>(wrap(client), { codec: text });
    const input = channel<string>(wrap(server), { codec: text });
    out.send("one");
    assertEquals(await input.receive({ timeout: 5000 }), "one");
    out.send("two");
    assertEquals(await input.receive({ timeout: 5000 }), "two");
    await Promise.all([out.close(), input.close()]);
  },
);

testBoth(
  "loses nothing that the stream still holds",
  async ({ client, server }, wrap) => {
    const reader = server.readable.getReader();
    reader.read().catch(() => {});
    reader.releaseLock();
    const writer = client.writable.getWriter();
    await writer.write(encodeFrame(lengthPrefixed(), utf8("one")));
    writer.releaseLock();
    // Now it is in the stream's queue.
    await new Promise((resolve) => setTimeout(resolve, 10));
    const input = channel<string>(wrap(server), { codec: text });
    assertEquals(await input.receive({ timeout: 5000 }), "one");
    await input.close();
  },
);

testBoth(
  "goes on after a reader that took what it asked for",
  async ({ client, server }, wrap) => {
    const writer = client.writable.getWriter();
    const reader = server.readable.getReader({ mode: "byob" });
    await writer.write(concat([
      utf8("hello"),
      encodeFrame(lengthPrefixed(), utf8("one")),
    ]));
    const { value } = await reader.read(new Uint8Array(5));
    assertEquals(value, utf8("hello"));
    reader.releaseLock();
    const input = channel<string>(wrap(server), { codec: text });
    assertEquals(await input.receive({ timeout: 5000 }), "one");
    await input.close();
  },
);

testBoth(
  "sends after what an earlier writer left in the queue",
  async ({ client, server }, wrap) => {
    const writer = client.writable.getWriter();
    const first = new Uint8Array(2_000_000).fill(1);
    writer.write(encodeFrame(lengthPrefixed(), first)).catch(() => {});
    writer.releaseLock();
    const out = channel<Uint8Array>(wrap(client), { codec: bytes });
    const input = channel<Uint8Array>(wrap(server), { codec: bytes });
    out.send(new Uint8Array([2]));
    assertEquals((await input.receive({ timeout: 5000 })).length, 2_000_000);
    assertEquals(await input.receive({ timeout: 5000 }), new Uint8Array([2]));
    await Promise.all([out.close(), input.close()]);
  },
);

testBoth(
  "ends by the connection's abort, with its reason",
  async ({ client }, wrap) => {
    const both = channel(wrap(client));
    const reason = new Error("enough");
    const waiting = assertRejects(() => both.receive(), ConnectionClosedError);
    client.abort(reason);
    const error = await waiting;
    assertEquals([error.code, error.cause], ["lost", reason]);
    assertStrictEquals(await assertRejects(() => both.closed), error);
    await assertRejects(() => both.send(1), ConnectionClosedError);
  },
);

testBoth(
  "ends by its own abort in the middle of a frame each way",
  async ({ client, server }, wrap) => {
    const both = channel<Uint8Array>(wrap(client), { codec: bytes });
    const writer = server.writable.getWriter();
    await writer.write(new Uint8Array([0, 1, 0, 0, 7])); // 64 KiB less a byte to go
    const sent = both.send(new Uint8Array(4_000_000)); // nobody reads it
    const waits = [sent, both.receive(), both.closed].map((wait) =>
      assertRejects(() => wait)
    );
    await new Promise((resolve) => setTimeout(resolve, 5));
    const reason = new DOMException("enough", "AbortError");
    both.abort(reason);
    for (const error of await Promise.all(waits)) {
      assertStrictEquals(error, reason);
    }
    assertStrictEquals(await assertRejects(() => client.closed), reason);
  },
);

testBoth(
  "ends by the connection's close under a receive that waits",
  async ({ client, server }, wrap) => {
    const both = channel(wrap(client));
    const waiting = assertRejects(() => both.receive(), ConnectionClosedError);
    await Promise.all([client.close(), server.close()]);
    assertEquals((await waiting).code, "ended");
  },
);

testBoth(
  "tells what was cut off at the peer's end",
  async ({ client, server }, wrap) => {
    const input = channel(wrap(server), { codec: bytes });
    const writer = client.writable.getWriter();
    writer.write(new Uint8Array([0, 0, 0, 7, 1, 2])).catch(() => {});
    await writer.close();
    await assertRejects(
      () => input.receive(),
      FrameError,
      "after 2 of 7 bytes",
    );
  },
);

testBoth(
  "times out a frame that stays partial",
  async ({ client, server }, wrap) => {
    const input = channel(wrap(server), {
      codec: bytes,
      partialFrameTimeout: 5,
    });
    const writer = client.writable.getWriter();
    writer.write(new Uint8Array([0, 0, 0, 7, 1, 2])).catch(() => {});
    const error = await assertRejects(
      () => input.receive(),
      FrameError,
      "6 bytes of a frame with a payload of 7",
    );
    assertEquals(error.code, "timeout");
  },
);

testBoth(
  "half-closes by its writable, and receives on",
  async ({ client, server }, wrap) => {
    const left = channel<number>(wrap(client));
    const right = channel<number>(wrap(server));
    const writer = left.writable.getWriter();
    writer.write(1);
    await writer.close();
    assertEquals(await Array.fromAsync(right), [1]);
    right.send(2);
    assertEquals(await left.receive(), 2);
    await right.close();
    await left.closed;
  },
);

testBoth(
  "goes on sending after its readable was cancelled",
  async ({ client, server }, wrap) => {
    const left = channel<number>(wrap(client));
    const right = channel<number>(wrap(server));
    await left.readable.cancel();
    await assertRejects(() => left.receive(), ConnectionClosedError);
    left.send(7);
    assertEquals(await right.receive(), 7);
    await Promise.all([left.close(), right.close()]);
  },
);

testBoth(
  "loses its connection when the peer is gone",
  async ({ client, server }, wrap) => {
    const both = channel<Uint8Array>(wrap(client), { codec: bytes });
    server.abort();
    const error = await assertRejects(async () => {
      for (;;) await both.send(new Uint8Array(65_536));
    }, ConnectionClosedError);
    assertEquals(error.code, "lost");
  },
);

testBoth(
  "counts as use for idleTimeout, and its silence as none",
  async ({ client, server }, wrap) => {
    const left = channel<number>(wrap(client));
    const right = channel<number>(wrap(server));
    for (let i = 0; i < 20; i++) {
      left.send(i);
      assertEquals(await right.receive(), i);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    // The first of both to find it idle; its end is a clean one for the other.
    const error = await assertRejects(() =>
      Promise.race([left.closed, right.closed])
    );
    assert(String(error).includes("No byte to or from"), String(error));
  },
  { idleTimeout: 400 },
);

testBoth(
  "stops reading while its messages wait",
  async ({ client, server }, wrap) => {
    const out = channel<Uint8Array>(wrap(client), { codec: bytes });
    const input = channel<Uint8Array>(wrap(server), { codec: bytes });
    const payload = new Uint8Array(65_536);
    let sent = 0;
    while (sent < 1000) {
      try {
        await out.send(payload, { timeout: 100 });
        sent++;
      } catch {
        break;
      }
    }
    assert(sent < 100, `${sent} messages were taken that nobody received`);
    for (let i = 0; i < sent; i++) {
      assertEquals((await input.receive({ timeout: 5000 })).length, 65_536);
    }
    await Promise.all([out.close(), input.close()]);
  },
);

Deno.test({
  name: "a message that was transferred with what came after it is an error",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/a.sock`;
    await using listener = await listenUnix({ path });
    const out = channel<Uint8Array>(await connectUnix({ path }), {
      codec: bytes,
    });
    const input = channel<Uint8Array>(await listener.accept(), {
      codec: bytes,
    });
    await out.send(new Uint8Array(10));
    const message = await input.receive();
    await new Promise((resolve) => setTimeout(resolve, 5)); // it reads again
    structuredClone(message, { transfer: [message.buffer as ArrayBuffer] });
    await out.send(new Uint8Array(10));
    const error = await assertRejects(
      () => input.receive({ timeout: 5000 }),
      ConnectionClosedError,
    );
    assert(String(error.cause).includes("Copy messages before"));
    out.abort();
  },
});

Deno.test("a message whose buffer an earlier one took along is an error, and later ones come", async () => {
  const [here, there] = duplexPair();
  const out = channel<Uint8Array>(here, { codec: bytes });
  const input = channel<Uint8Array>(there, { codec: bytes });
  for (let n = 1; n <= 3; n++) out.trySend(new Uint8Array([n])); // one chunk
  const first = await input.receive();
  assertEquals(first, new Uint8Array([1]));
  structuredClone(first, { transfer: [first.buffer as ArrayBuffer] });
  const what = "the buffer of an earlier message was transferred";
  assertThrows(() => input.tryReceive(), FrameError, what);
  await assertRejects(() => input.receive(), FrameError, what);
  out.trySend(new Uint8Array());
  assertEquals(await input.receive(), new Uint8Array());
  await Promise.all([out.close(), input.close()]);
});

function read(source: BufferSource): Promise<boolean> {
  return new Promise((onRead, onError) => source.read({ onRead, onError }));
}

/** Gives the bytes in pieces of random length. */
function pieces(all: Uint8Array, random: Random): RawSource {
  let at = 0;
  const give = (into: Uint8Array) => {
    assert(into.length > 0);
    const most = random.pick([1, 3, 50, 5000]);
    const part = all.subarray(at, at + Math.min(into.length, most));
    into.set(part);
    at += part.length;
    return part.length;
  };
  return {
    tryRead: (into) => random.below(2) === 0 ? 0 : give(into),
    read(into, reader) {
      queueMicrotask(() => reader.onCount(give(into) || null));
    },
  };
}

for (const [name, { format, payload }] of Object.entries(FORMATS)) {
  Deno.test(`a buffer gives the frames of ${name} in whatever pieces they come`, async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = new Random(seed);
    for (let round = 0; round < 30; round++) {
      const payloads = Array.from({ length: 50 }, () => payload(random));
      const wire = encodeAll(format, payloads);
      const decoder = format.createDecoder();
      const source = new BufferSource(pieces(wire, random), decoder);
      const frames: Uint8Array[] = [];
      while (source.tryRead() || await read(source)) {
        source.decode((bytes, start, end) =>
          frames.push(bytes.subarray(start, end))
        );
      }
      decoder.end((frame) => frames.push(frame));
      assertEquals(frames, payloads, `seed ${seed}`);
    }
  });
}

testBoth(
  "closeTimeout bounds the close where the peer reads nothing",
  async ({ client, server }, wrap) => {
    const end = channel<Uint8Array>(wrap(client), {
      codec: bytes,
      closeTimeout: 20,
    });
    end.send(new Uint8Array(8 << 20)).catch(() => {});
    await end.close(); // the connection itself would wait for 5 s
    const error = await assertRejects(() => end.closed, DOMException);
    assertEquals(error.message, "Cannot close channel: timed out after 20 ms");
    server.abort();
  },
);

testBoth(
  "closing writable rejects with what broke the connection",
  async ({ client }, wrap) => {
    const end = channel<string>(wrap(client), { codec: text });
    const reason = new Error("enough");
    const writer = end.writable.getWriter();
    const closed = assertRejects(() => writer.close());
    client.abort(reason);
    const error = await closed as ConnectionClosedError;
    assertEquals(error.code, "lost");
    assertStrictEquals(error.cause, reason);
  },
);

Deno.test("a hook may use the channel for what was here before it was made", async () => {
  const here = encodeFrame(lengthPrefixed(), utf8("no JSON"));
  let left = here.length;
  const connection = new ByteConnection({
    tryRead(into) {
      const count = left;
      into.set(here.subarray(0, count));
      left = 0;
      return count;
    },
    read: () => new Promise(() => {}),
    write: (bytes) => Promise.resolve(bytes.length),
    closeWrite: () => {},
    close: () => {},
  }, { local: "test:here", remote: "test:there" });
  const reason = new Error("enough");
  const end = channel(connection, {
    codec: json,
    onInvalid: () => end.abort(reason),
  });
  assertStrictEquals(await assertRejects(() => end.receive()), reason);
  assertStrictEquals(await assertRejects(() => end.closed), reason);
});

Deno.test("a buffer for a long frame grows with what came of it", async () => {
  const lengths: number[] = [];
  const prefix = new Uint8Array([1, 0, 0, 0]); // 16 MiB
  let came = 0;
  const source = new BufferSource({
    read(into, reader) {
      lengths.push(into.buffer.byteLength);
      assert(
        into.buffer.byteLength <= Math.max(1024, 16 * came),
        `a buffer of ${into.buffer.byteLength} bytes after ${came}`,
      );
      if (came === 0) into.set(prefix);
      const count = came === 0 ? 4 : Math.min(into.length, 1000);
      came += count;
      queueMicrotask(() => reader.onCount(count));
    },
  }, lengthPrefixed().createDecoder());
  let frame: Uint8Array | undefined;
  while (frame === undefined) {
    await read(source);
    source.decode((bytes, start, end) => frame = bytes.subarray(start, end));
  }
  assertEquals(frame.length, 2 ** 24);
  assert(new Set(lengths).size < 8, "it was copied too often");
});

/** A transport in memory that takes or gives a byte or some at a time. */
function loopback(random: Random, takesAll = false): ByteIo {
  const held: number[] = [];
  let ended = false;
  let wake: (() => void) | undefined;
  return {
    tryRead: (into) => {
      const part = held.splice(0, Math.min(random.below(3), into.length));
      into.set(part);
      return part.length;
    },
    async read(into) {
      while (held.length === 0) {
        if (ended) return null;
        await new Promise<void>((resolve) => wake = resolve);
      }
      const part = held.splice(0, Math.min(1 + random.below(9), into.length));
      into.set(part);
      return part.length;
    },
    tryWrite: (chunk) => {
      const part = takesAll ? chunk : chunk.subarray(0, random.below(4));
      held.push(...part);
      wake?.();
      return part.length;
    },
    write(chunk) {
      const part = chunk.subarray(0, 1 + random.below(50));
      held.push(...part);
      wake?.();
      return Promise.resolve(part.length);
    },
    closeWrite() {
      ended = true;
      wake?.();
    },
    close() {
      ended = true;
      wake?.();
    },
  };
}

Deno.test("a channel over a transport that may try keeps every message", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = new Random(seed);
  const duplex: Duplex = new ByteConnection(loopback(random), {
    local: "test:",
    remote: "test:peer",
  });
  const both = channel<Uint8Array>(duplex, {
    codec: bytes,
    timeout: 20_000,
    highWaterMark: 500,
  });
  const messages = Array.from(
    { length: 300 },
    (_, i) => random.bytes(i === 150 ? 20_000 : random.below(200)),
  );
  const sending = (async () => {
    for (const message of messages) {
      const payload = message.slice();
      if (!both.trySend(payload)) await both.send(payload, { timeout: 20_000 });
      payload.fill(0);
    }
  })();
  for (const message of messages) {
    assertEquals(await both.receive(), message, `seed ${seed}`);
  }
  await sending;
  await both.close();
});

for (const highWaterMark of [1, 500, 131_072]) {
  Deno.test(`sends that wait go out where writes are done at once, above ${highWaterMark}`, async () => {
    const duplex = new ByteConnection(loopback(new Random(1), true), {
      local: "test:",
      remote: "test:peer",
    });
    const both = channel<Uint8Array>(duplex, {
      codec: bytes,
      timeout: 20_000,
      highWaterMark,
    });
    const sizes = Array.from({ length: 40 }, (_, i) => 4500 + i);
    const sending = Promise.all(
      sizes.map((size) => both.send(new Uint8Array(size))),
    );
    for (const size of sizes) assertEquals((await both.receive()).length, size);
    await sending;
    const closing = both.send(new Uint8Array(3));
    await both.close();
    await closing;
    await both.closed;
  });
}

for (const onePiece of [undefined, 65_536, 100_000]) {
  Deno.test(`a frame leaves in one piece where the transport wants fewer than ${onePiece} bytes so`, async () => {
    const pieces: number[] = [];
    const closed = Promise.withResolvers<null>();
    const io: ByteIo = {
      onePiece,
      read: () => closed.promise,
      write(bytes) {
        pieces.push(bytes.length);
        return Promise.resolve(bytes.length);
      },
      closeWrite: () => closed.resolve(null),
      close() {},
    };
    const connection = new ByteConnection(io, {
      local: "test:",
      remote: "test:peer",
    });
    const frames = channel<Uint8Array>(connection, { codec: bytes });
    for (const length of [10, 65_536, 100_001]) {
      await frames.send(new Uint8Array(length));
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await frames.close();
    const large = onePiece === 100_000 ? [65_540] : [4, 65_536];
    assertEquals(pieces, [14, ...large, 4, 100_001]);
  });
}
