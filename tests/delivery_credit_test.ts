// Flow control by credit, and what stands beside it: exchange and timeouts.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect, listen } from "../address.ts";
import { ConnectionClosedError } from "../duplex.ts";
import { creditChannel, DeliveryError, exchange } from "../delivery/mod.ts";
import { channel, FrameError } from "../framing/mod.ts";
import { duplexPair, freshAddress, SCHEMES } from "./_delivery.ts";
import { temporaryDirectory } from "./_tools.ts";

for (const scheme of SCHEMES) {
  Deno.test(`credit ${scheme}: a sender knows how far behind its reader is`, async () => {
    await using directory = await temporaryDirectory();
    await using listener = await listen(freshAddress(scheme, directory.path));
    const [client, server] = await Promise.all([
      connect(listener.address),
      listener.accept(),
    ]);
    await using sender = creditChannel<number>(client);
    await using reader = creditChannel<number>(server, {
      window: { maxMessages: 10 },
    });
    await sender.ready;
    let sent = 0;
    while (sender.trySend(sent)) sent++;
    assertEquals(sent, 10);
    assertEquals(sender.canSend, false);
    await assertRejects(
      () => sender.send(10, { timeout: 20 }),
      DOMException,
      "timed out",
    );
    assertEquals(await reader.receive(), 0);
    for (let n = 1; n < 10; n++) assertEquals(await reader.receive(), n);
    await sender.flush();
    // 1000 more, with each side going as fast as the other lets it.
    const sending = (async () => {
      for (let n = 0; n < 1000; n++) await sender.send(n);
    })();
    for (let n = 0; n < 1000; n++) assertEquals(await reader.receive(), n);
    await sending;
  });
}

Deno.test("credit: bytes are counted too", async () => {
  const [here, there] = duplexPair();
  await using sender = creditChannel<Uint8Array>(here);
  await using reader = creditChannel<Uint8Array>(there, {
    window: { maxBytes: 10_000 },
  });
  await sender.ready;
  let sent = 0;
  while (sender.trySend(new Uint8Array(3000))) sent++;
  assertEquals(sent, 4); // one may exceed it
  for (; sent > 0; sent--) await reader.receive();
  await sender.ready;
});

Deno.test("credit: a loss ends the channel, and what arrived can be taken", async () => {
  await using listener = await listen("tcp:127.0.0.1:0");
  const connection = await connect(listener.address);
  const sender = creditChannel<number>(connection);
  const reader = creditChannel<number>(await listener.accept());
  await sender.send(1);
  const flushed = assertRejects(() => sender.flush(), DeliveryError);
  await new Promise((resolve) => setTimeout(resolve, 20));
  connection.abort();
  assertEquals((await flushed).maybeDelivered, true);
  assertEquals(await reader.receive(), 1);
  await assertRejects(() => reader.receive(), ConnectionClosedError);
  await assertRejects(() => reader.closed, ConnectionClosedError);
});

Deno.test("credit: close ends both sides in order", async () => {
  const [here, there] = duplexPair();
  const sender = creditChannel<number>(here);
  const reader = creditChannel<number>(there);
  const numbers: number[] = [];
  const reading = (async () => {
    for await (const n of reader) numbers.push(n);
  })();
  for (const n of [1, 2, 3]) await sender.send(n);
  await sender.close();
  await reading;
  assertEquals(numbers, [1, 2, 3]);
  await Promise.all([sender.closed, reader.closed]);
});

Deno.test("exchange: many at once get their own answers", async () => {
  const [here, there] = duplexPair();
  await using client = channel<number>(here);
  await using server = channel<number>(there);
  const serving = (async () => {
    for await (const n of server) await server.send(n * 2);
  })();
  const answers = await Promise.all(
    [1, 2, 3].map((n) => exchange(client, n, { timeout: 1000 })),
  );
  assertEquals(answers, [2, 4, 6]);
  await client.close();
  await serving;
});

Deno.test("exchange: an answer that comes late is not taken for the next one", async () => {
  const [here, there] = duplexPair();
  await using client = channel<string>(here, { timeouts: { exchange: 30 } });
  await using server = channel<string>(there);
  const error = await assertRejects(
    () => exchange(client, "slow"),
    DOMException,
    "Cannot exchange: timed out after 30 ms",
  );
  assertEquals(error.name, "TimeoutError");
  const asking = exchange(client, "fast", { timeout: 1000 });
  for (let n = 0; n < 2; n++) await server.send(await server.receive() + "!");
  assertEquals(await asking, "fast!");
});

Deno.test("exchange: a signal ends it with its reason", async () => {
  const [here, there] = duplexPair();
  await using client = channel<string>(here);
  await using _server = channel<string>(there);
  const stop = new AbortController();
  const asking = exchange(client, "ping", { signal: stop.signal });
  const reason = new Error("enough");
  stop.abort(reason);
  assertEquals(await assertRejects(() => asking), reason);
});

Deno.test("timeouts: one object bounds each wait of a connection and its channel", async () => {
  await using directory = await temporaryDirectory();
  const timeouts = {
    connect: 1000,
    idle: 80,
    send: 30,
    receive: 20,
    partialFrame: 50,
  };
  const address = `unix:${directory.path}/a.sock`;
  await using listener = await listen(address);
  const connection = await connect(address, { timeouts });
  const client = channel<Uint8Array>(connection, { timeouts });
  const server = await listener.accept();
  await assertRejects(
    () => client.receive(),
    DOMException,
    "Cannot receive: timed out after 20 ms",
  );
  await assertRejects(
    async () => {
      for (;;) await client.send(new Uint8Array(100_000));
    },
    DOMException,
    "Cannot send: timed out after 30 ms",
  );
  const writer = server.writable.getWriter();
  await writer.write(new Uint8Array([0, 0, 0, 9, 1]));
  const error = await assertRejects(() => client.closed);
  assert(
    error instanceof FrameError && error.code === "timeout" ||
      error instanceof DOMException && error.name === "TimeoutError",
    `${error}`,
  );
  server.abort();
});

Deno.test("timeouts: connect bounds the way to a server that doesn't answer", async () => {
  await using directory = await temporaryDirectory();
  await assertRejects(
    () =>
      connect(`unix:${directory.path}/none.sock`, {
        retry: { retries: 1000 },
        timeouts: { connect: 40 },
      }),
    DOMException,
    "timed out after 40 ms",
  );
});

Deno.test("timeouts: wrong ones are refused by name", () => {
  const [here] = duplexPair();
  for (const timeouts of [{ send: -1 }, { idle: NaN }, { idle: 0 }]) {
    const [name, value] = Object.entries(timeouts)[0];
    try {
      creditChannel(here, { timeouts });
      throw new Error("accepted");
    } catch (error) {
      assert(error instanceof RangeError, `${error}`);
      assert(error.message.includes(`timeouts.${name}`), error.message);
      assert(error.message.includes(String(value)), error.message);
    }
  }
});
