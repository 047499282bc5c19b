// A channel that comes back by itself, to servers that speak any protocol.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect, listen } from "../address.ts";
import { ConnectionClosedError } from "../duplex.ts";
import {
  DeliveryError,
  type Disconnection,
  reconnectingChannel,
} from "../delivery/mod.ts";
import { channel, FrameError, json, lines } from "../framing/mod.ts";
import { freshAddress, HASTE, SCHEMES } from "./_delivery.ts";
import { temporaryDirectory } from "./_tools.ts";

for (const scheme of SCHEMES) {
  Deno.test(`reconnecting ${scheme}: goes on with each new connection`, async () => {
    await using directory = await temporaryDirectory();
    await using listener = await listen(freshAddress(scheme, directory.path));
    const attempts: number[] = [];
    await using client = reconnectingChannel<string>(
      ({ signal }) => connect(listener.address, { signal }),
      {
        reconnect: HASTE,
        onConnect: (channel) => channel.send("subscribe"),
        onReconnect: (event) => attempts.push(event.attempts),
      },
    );
    assertEquals(client.state, "connecting");
    for (let round = 0; round < 5; round++) {
      const receiving = client.receive(); // waits across the gap
      const server = channel<string>(await listener.accept());
      assertEquals(await server.receive(), "subscribe");
      await server.send(`news ${round}`);
      assertEquals(await receiving, `news ${round}`);
      await client.send("thanks");
      assertEquals(await server.receive(), "thanks");
      assertEquals(client.state, "connected");
      if (round % 2 === 0) await server.close();
      else server.abort();
    }
    assert(attempts.length >= 4, `${attempts}`);
    assert(client.connections >= 5);
  });
}

Deno.test("reconnecting: a frame that was cut in half is dropped and reported", async () => {
  await using listener = await listen("tcp:127.0.0.1:0");
  const losses: Disconnection[] = [];
  await using client = reconnectingChannel<unknown>(
    ({ signal }) => connect(listener.address, { signal }),
    {
      reconnect: HASTE,
      format: lines(),
      codec: json,
      onDisconnect: (loss) => losses.push(loss),
    },
  );
  const first = await listener.accept();
  const writer = first.writable.getWriter();
  await writer.write(new TextEncoder().encode('{"n":1}\n{"n":'));
  assertEquals(await client.receive(), { n: 1 });
  await writer.close();
  const receiving = client.receive();
  await using second = channel(await listener.accept(), {
    format: lines(),
    codec: json,
  });
  await second.send({ n: 3 });
  assertEquals(await receiving, { n: 3 }); // and not the half of it
  const { error } = losses[0];
  assert(error instanceof FrameError && error.code === "truncated", `${error}`);
  await first.close();
});

Deno.test("reconnecting: comes back although nobody sends or receives", async () => {
  await using listener = await listen("tcp:127.0.0.1:0");
  await using client = reconnectingChannel<string>(
    ({ signal }) => connect(listener.address, { signal }),
    { reconnect: HASTE },
  );
  for (let round = 0; round < 3; round++) {
    const server = channel<string>(await listener.accept());
    if (round < 2) await server.close();
    else {
      await server.send("at last");
      assertEquals(await client.receive(), "at last");
      server.abort();
    }
  }
});

Deno.test("reconnecting: messages that arrived before the loss are still received", async () => {
  await using listener = await listen("tcp:127.0.0.1:0");
  await using client = reconnectingChannel<number>(
    ({ signal }) => connect(listener.address, { signal }),
    { reconnect: HASTE },
  );
  for (let round = 0; round < 3; round++) {
    const server = channel<number>(await listener.accept());
    await server.send(2 * round);
    await server.send(2 * round + 1);
    assertEquals(await client.receive(), 2 * round);
    await server.close();
    assertEquals(await client.receive(), 2 * round + 1);
    // Only who waits notices the end.
    const waiting = assertRejects(() => client.receive({ timeout: 30 }));
    await waiting;
  }
});

Deno.test("reconnecting: a send waits for a connection, as long as it is told", async () => {
  await using directory = await temporaryDirectory();
  const address = freshAddress("unix", directory.path);
  await using client = reconnectingChannel<string>(
    ({ signal }) => connect(address, { signal }),
    { reconnect: HASTE },
  );
  assertEquals(client.trySend("nobody is there"), false);
  await assertRejects(
    () => client.send("in vain", { timeout: 30 }),
    DOMException,
    "Cannot send: timed out after 30 ms",
  );
  const sending = client.send("hello");
  await using listener = await listen(address);
  await using server = channel<string>(await listener.accept());
  await sending;
  assertEquals(await server.receive(), "hello");
});

Deno.test("reconnecting: a message that waited for room when the connection was lost may have arrived", async () => {
  await using listener = await listen("tcp:127.0.0.1:0");
  await using client = reconnectingChannel<Uint8Array>(
    ({ signal }) => connect(listener.address, { signal }),
    { reconnect: HASTE },
  );
  const server = await listener.accept();
  let stuck: Promise<void> | undefined;
  for (let full = false; !full;) {
    stuck = client.send(new Uint8Array(300_000));
    stuck.catch(() => {});
    full = !(await Promise.race([
      stuck.then(() => true),
      new Promise<boolean>((done) => setTimeout(() => done(false), 50)),
    ]));
  }
  server.abort();
  const error = await assertRejects(() => stuck!, DeliveryError);
  assertEquals([error.code, error.maybeDelivered], ["lost", true]);
  await using next = channel<Uint8Array>(await listener.accept());
  await client.send(new Uint8Array(1));
  assertEquals(await next.receive(), new Uint8Array(1));
});

Deno.test("reconnecting: gives up after its tries, and ends by close, abort and signal", async () => {
  await using directory = await temporaryDirectory();
  const address = freshAddress("unix", directory.path);
  const open = (signal?: AbortSignal, retries = 2000) =>
    reconnectingChannel<string>(
      ({ signal }) => connect(address, { signal }),
      { signal, reconnect: { ...HASTE, retries } },
    );
  const gone = open(undefined, 2);
  const error = await assertRejects(
    () => gone.receive(),
    ConnectionClosedError,
  );
  assertEquals(error.code, "lost");

  const closed = open();
  const receiving = closed.receive();
  await Promise.all([
    closed.close(),
    assertRejects(() => receiving, ConnectionClosedError),
  ]);
  assertEquals(closed.state, "closed");
  await closed.closed;

  const stop = new AbortController();
  const aborted = open(stop.signal);
  const iterating = assertRejects(
    async () => {
      for await (const _ of aborted);
    },
    Error,
    "enough",
  );
  stop.abort(new Error("enough"));
  await iterating;
  await assertRejects(() => aborted.closed, Error, "enough");
});
