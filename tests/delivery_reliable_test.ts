// What a reliable channel promises, over every transport and whatever happens to
// its connections.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { connect, listen } from "../address.ts";
import { ConnectionClosedError } from "../duplex.ts";
import {
  DeliveryError,
  ProtocolError,
  reliableChannel,
  reliableListener,
} from "../delivery/mod.ts";
import { FrameError } from "../framing/mod.ts";
import { within } from "../_async/wait.ts";
import {
  duplexPair,
  type Faults,
  freshAddress,
  HASTE,
  reliablePair,
  SCHEMES,
} from "./_delivery.ts";
import { Random } from "./_random.ts";
import { temporaryDirectory } from "./_tools.ts";

const seed = Number(
  Deno.env.get("SLUICE_SEED") ?? Math.floor(Math.random() * 2 ** 31),
);

/** What holds a session's connection, to take that away. */
function lineOf(channel: unknown): {
  detach(reason: unknown): void;
  onLost(reason: unknown): void;
} {
  return (channel as { line: ReturnType<typeof lineOf> }).line;
}

/** Numbers from 0 both ways; every one has to arrive once and in order. */
async function bothWays(
  scheme: string,
  count: number,
  faults: Faults,
  checksum: boolean,
): Promise<void> {
  await using directory = await temporaryDirectory();
  const random = new Random(seed);
  let losses = 0;
  const timeouts = { idle: 200, connect: 300, partialFrame: 400 };
  await using ends = await reliablePair<{ n: number; text: string }>(
    scheme,
    directory.path,
    random,
    {
      client: { checksum, timeouts, onDisconnect: () => losses++ },
      server: { timeouts },
      faults,
    },
  );
  const text = (n: number) => "x".repeat((n * 7919) % 400);
  const send = async (end: typeof ends.client) => {
    for (let n = 0; n < count; n++) {
      while (!end.trySend({ n, text: text(n) })) await end.ready;
    }
    await end.flush();
  };
  const receive = async (end: typeof ends.client) => {
    for (let n = 0; n < count; n++) {
      const message = await end.receive();
      assertEquals(message.n, n);
      assertEquals(message.text, text(n));
    }
  };
  await within(
    Promise.all([
      send(ends.client),
      send(ends.server),
      receive(ends.client),
      receive(ends.server),
    ]),
    `SLUICE_SEED=${seed}, after ${losses} losses`,
    { timeout: 20_000 },
  );
  assert(losses > 3, `only ${losses} losses: the proxy was too kind`);
  ends.proxy.faults = {};
  assertEquals(ends.client.stats.acknowledged, count);
  assertEquals(ends.server.stats.received, count);
}

for (const scheme of SCHEMES) {
  Deno.test(`reliable ${scheme}: loses and doubles nothing while connections are cut, split and delayed`, () =>
    bothWays(
      scheme,
      6000,
      { cutEvery: 60_000, split: 20_000, delay: 0.01 },
      false,
    ));
}

Deno.test("reliable: a checksum survives bytes that are dropped and doubled", () =>
  bothWays("unix", 3000, {
    cutEvery: 300_000,
    split: 3000,
    drop: 0.01,
    duplicate: 0.01,
    delay: 0.001,
  }, true));

Deno.test("reliable: a connection that swallows everything is given up", async () => {
  await using directory = await temporaryDirectory();
  await using ends = await reliablePair<number>(
    "unix",
    directory.path,
    new Random(seed),
    { client: { timeouts: { idle: 100 } } },
  );
  ends.proxy.blackHole(true);
  const sending = ends.client.send(1);
  const lost = new Promise<void>((resolve) => {
    const watch = setInterval(() => {
      if (ends.client.state !== "connected") {
        clearInterval(watch);
        resolve();
      }
    }, 5);
  });
  await lost;
  ends.proxy.blackHole(false);
  assertEquals(await ends.server.receive(), 1);
  await sending;
  assertEquals(ends.client.stats.resent, 1);
});

Deno.test("reliable: an idle connection is kept alive by questions", async () => {
  await using directory = await temporaryDirectory();
  await using ends = await reliablePair<number>(
    "unix",
    directory.path,
    new Random(seed),
    { client: { timeouts: { idle: 60 } } },
  );
  await new Promise((resolve) => setTimeout(resolve, 250));
  await Promise.all([ends.client.send(1), ends.server.receive()]);
  assertEquals(ends.client.stats.connections, 1);
});

Deno.test("reliable: send resolves when the application took the message", async () => {
  await using directory = await temporaryDirectory();
  await using ends = await reliablePair<number>(
    "unix",
    directory.path,
    new Random(seed),
  );
  let delivered = false;
  const sending = ends.client.send(1).then(() => delivered = true);
  await assertRejects(
    () => ends.client.flush({ timeout: 50 }),
    DeliveryError,
    "timed out after 50 ms",
  );
  assertEquals(delivered, false);
  assertEquals(await ends.server.receive(), 1);
  await sending;
});

Deno.test("reliable: with acknowledge handled, a message counts when the next is asked for", async () => {
  await using directory = await temporaryDirectory();
  await using ends = await reliablePair<number>(
    "unix",
    directory.path,
    new Random(seed),
    { server: { acknowledge: "handled" } },
  );
  const sending = ends.client.send(1);
  assertEquals(await ends.server.receive(), 1);
  const error = await assertRejects(
    () => ends.client.flush({ timeout: 50 }),
    DeliveryError,
  );
  assertEquals([error.code, error.maybeDelivered], ["timeout", true]);
  const next = ends.server.receive();
  await sending;
  await Promise.all([
    ends.client.send(2, { timeout: 30 }).catch(() => {}),
    next,
  ]);
});

Deno.test("reliable: handle acknowledges after the handler, and aborts when that throws", async () => {
  await using directory = await temporaryDirectory();
  await using ends = await reliablePair<number>(
    "unix",
    directory.path,
    new Random(seed),
  );
  const gate = Promise.withResolvers<void>();
  const sequences: number[] = [];
  const handling = ends.server.handle(async (message, { sequence }) => {
    sequences.push(sequence);
    if (message === 2) throw new Error("no such job");
    await gate.promise;
  });
  handling.catch(() => {});
  const first = ends.client.send(1);
  await assertRejects(() => ends.client.flush({ timeout: 50 }), DeliveryError);
  gate.resolve();
  await first;
  const error = await assertRejects(() => ends.client.send(2), DeliveryError);
  assertEquals([error.code, error.maybeDelivered], ["lost", true]);
  await assertRejects(() => handling, Error, "no such job");
  assertEquals(sequences, [0, 1]);
});

Deno.test("reliable: the window bounds what is on its way", async () => {
  await using directory = await temporaryDirectory();
  await using ends = await reliablePair<number>(
    "unix",
    directory.path,
    new Random(seed),
    { server: { window: { maxMessages: 3 } } },
  );
  for (let n = 0; n < 3; n++) assert(ends.client.trySend(n));
  assertEquals(ends.client.canSend, false);
  assertEquals(ends.client.trySend(3), false);
  const error = await assertRejects(
    () => ends.client.send(3, { timeout: 20 }),
    DeliveryError,
    "it was not sent",
  );
  assertEquals([error.code, error.maybeDelivered], ["timeout", false]);
  const waiting = ends.client.send(4);
  for (const n of [0, 1, 2, 4]) assertEquals(await ends.server.receive(), n);
  await waiting;
  await ends.client.ready;
  assert(ends.client.canSend);
});

Deno.test("reliable: a window of bytes lets one long message through", async () => {
  await using directory = await temporaryDirectory();
  await using ends = await reliablePair<Uint8Array>(
    "unix",
    directory.path,
    new Random(seed),
    { server: { window: { maxBytes: 1000 } } },
  );
  const long = new Random(1).bytes(300_000);
  const sending = Promise.all([1, 2, 3].map(() => ends.client.send(long)));
  for (let n = 0; n < 3; n++) assertEquals(await ends.server.receive(), long);
  await sending;
  assertEquals(ends.client.queuedBytes, 0);
});

Deno.test("reliable: more than the peer's window waits through a reconnection", async () => {
  const inner = await listen("tcp:127.0.0.1:0");
  await using listener = reliableListener<number>(inner, {
    window: { maxMessages: 2 },
  });
  const open = Promise.withResolvers<void>();
  await using client = reliableChannel<number>(async ({ signal }) => {
    await open.promise;
    return await connect(inner.address, { signal });
  }, { reconnect: HASTE });
  for (let n = 0; n < 50; n++) assert(client.trySend(n)); // nobody is there yet
  open.resolve();
  const server = await listener.accept();
  for (let n = 0; n < 50; n++) assertEquals(await server.receive(), n);
  await client.flush();
  await client.close();
  await server.closed;
});

Deno.test("reliable: close delivers everything, through cuts, and ends both sides", async () => {
  await using directory = await temporaryDirectory();
  await using ends = await reliablePair<number>(
    "tcp",
    directory.path,
    new Random(seed),
    { faults: { cutEvery: 3000 } },
  );
  for (let n = 0; n < 2000; n++) ends.client.trySend(n);
  const received: number[] = [];
  const receiving = (async () => {
    for await (const n of ends.server) received.push(n);
  })();
  await ends.client.close();
  await ends.client.closed;
  await receiving;
  await ends.server.closed;
  assertEquals(received.length, 2000);
  assertEquals(ends.listener.sessions, 0);
  assertEquals(ends.client.state, "closed");
});

Deno.test("reliable: a writable that is closed leaves receiving open", async () => {
  await using directory = await temporaryDirectory();
  await using ends = await reliablePair<number>(
    "unix",
    directory.path,
    new Random(seed),
  );
  const answering = (async () => {
    let sum = 0;
    for await (const n of ends.server.readable) sum += n;
    await ends.server.send(sum);
    await ends.server.close();
  })();
  const writer = ends.client.writable.getWriter();
  for (let n = 1; n <= 100; n++) await writer.write(n);
  await writer.close();
  assertEquals(await ends.client.receive(), 5050);
  await answering;
  await ends.client.closed;
});

Deno.test("reliable: close rejects what the peer has still on its way", async () => {
  await using directory = await temporaryDirectory();
  await using ends = await reliablePair<number>(
    "unix",
    directory.path,
    new Random(seed),
  );
  const rejected = assertRejects(() => ends.server.send(1), DeliveryError);
  await assertRejects(() => ends.server.flush({ timeout: 20 }), DeliveryError);
  await ends.client.close();
  const error = await rejected;
  assertEquals([error.code, error.maybeDelivered], ["closed", true]);
  const late = await assertRejects(() => ends.server.send(2), DeliveryError);
  assertEquals([late.code, late.maybeDelivered], ["closed", false]);
  assertThrows(() => ends.client.trySend(3), DeliveryError);
});

Deno.test("reliable: close gives up where nothing moves", async () => {
  await using directory = await temporaryDirectory();
  await using ends = await reliablePair<number>(
    "unix",
    directory.path,
    new Random(seed),
    { client: { timeouts: { close: 50 } } },
  );
  const sending = ends.client.send(1); // and nobody takes it
  sending.catch(() => {});
  await ends.client.close();
  await assertRejects(() => ends.client.closed, DOMException, "timed out");
  const error = await assertRejects(() => sending, DeliveryError);
  assertEquals([error.code, error.maybeDelivered], ["lost", true]);
});

Deno.test("reliable: flush tells the loss of what nobody waited for", async () => {
  await using directory = await temporaryDirectory();
  await using ends = await reliablePair<number>(
    "unix",
    directory.path,
    new Random(seed),
  );
  ends.client.trySend(1);
  await assertRejects(() => ends.client.flush({ timeout: 20 }), DeliveryError);
  ends.client.abort(new Error("enough"));
  for (let n = 0; n < 2; n++) { // it stays lost
    const error = await assertRejects(() => ends.client.flush(), DeliveryError);
    assertEquals([error.code, error.maybeDelivered], ["lost", true]);
  }
  assertEquals(ends.client.stats.acknowledged, 0);
});

Deno.test("reliable: a signal ends a send, and says what became of it", async () => {
  await using directory = await temporaryDirectory();
  await using ends = await reliablePair<number>(
    "unix",
    directory.path,
    new Random(seed),
    { server: { window: { maxMessages: 1 } } },
  );
  const reason = new Error("enough");
  const first = new AbortController();
  const sending = ends.client.send(1, { signal: first.signal });
  const second = new AbortController();
  const waiting = ends.client.send(2, { signal: second.signal });
  await assertRejects(() => ends.client.flush({ timeout: 20 }), DeliveryError);
  first.abort(reason);
  second.abort(reason);
  const sent = await assertRejects(() => sending, DeliveryError);
  assertEquals([sent.code, sent.maybeDelivered], ["aborted", true]);
  assertEquals(sent.cause, reason);
  const unsent = await assertRejects(() => waiting, DeliveryError);
  assertEquals([unsent.code, unsent.maybeDelivered], ["aborted", false]);
  assertEquals(await ends.server.receive(), 1); // it could not be taken back
});

Deno.test("reliable: what is sent later may arrive, also where it was given up before", async () => {
  await using directory = await temporaryDirectory();
  const address = freshAddress("unix", directory.path);
  const client = reliableChannel<number>(
    ({ signal }) => connect(address, { signal }),
    { reconnect: HASTE },
  );
  const error = await assertRejects(
    () => client.send(1, { timeout: 5 }), // nobody listens yet
    DeliveryError,
    "it may have arrived",
  );
  assertEquals([error.code, error.maybeDelivered], ["timeout", true]);
  await using listener = reliableListener<number>(await listen(address));
  await using server = await listener.accept();
  assertEquals(await server.receive(), 1);
  await client.close();
});

Deno.test("reliable: what onInvalid takes is acknowledged, though nobody handles it", async () => {
  await using directory = await temporaryDirectory();
  const refused: string[] = [];
  await using ends = await reliablePair<number>(
    "unix",
    directory.path,
    new Random(seed),
    {
      server: {
        acknowledge: "handled",
        window: { maxMessages: 1 },
        validate: { in: (message) => message !== 2 },
        onInvalid: ({ message }) => refused.push(message),
      },
    },
  );
  const { client, server } = ends;
  await client.send(2, { timeout: 20 }).catch(() => {}); // it waits there
  const received = server.receive();
  await client.send(2, { timeout: 5_000 }); // somebody waits for it
  assertEquals(refused.length, 2);
  const sending = client.send(3);
  assertEquals(await received, 3);
  server.tryReceive(); // it is handled
  await sending;
});

Deno.test("reliable: a client gives up after its tries, and says why", async () => {
  await using directory = await temporaryDirectory();
  const lost: unknown[] = [];
  const client = reliableChannel<number>(
    ({ signal }) => connect(freshAddress("unix", directory.path), { signal }),
    {
      reconnect: { ...HASTE, retries: 3 },
      onDisconnect: (error) => lost.push(error),
    },
  );
  const error = await assertRejects(() => client.send(1), DeliveryError);
  assertEquals([error.code, error.maybeDelivered], ["lost", false]);
  assertEquals(lost.length, 3);
  const closed = await assertRejects(
    () => client.closed,
    ConnectionClosedError,
  );
  assert(closed.cause instanceof Deno.errors.NotFound);
});

Deno.test("reliable: a wrong argument is not tried again", async () => {
  let tries = 0;
  const client = reliableChannel<number>(() => {
    tries++;
    return connect("nowhere:at-all");
  });
  await assertRejects(() => client.send(1), DeliveryError);
  assertEquals(tries, 1);
});

Deno.test("reliable: a signal aborts the whole channel, also while it connects", async () => {
  const stop = new AbortController();
  const client = reliableChannel<number>(
    ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      }),
    { signal: stop.signal },
  );
  const sending = client.send(1);
  const receiving = client.receive();
  const reason = new Error("over");
  stop.abort(reason);
  assertEquals(await assertRejects(() => receiving), reason);
  const error = await assertRejects(() => sending, DeliveryError);
  assertEquals(error.cause, reason);
  assertEquals(await assertRejects(() => client.closed), reason);
});

Deno.test("reliable: a session without its client ends after sessionTimeout", async () => {
  const inner = await listen("tcp:127.0.0.1:0");
  await using listener = reliableListener<number>(inner, {
    sessionTimeout: 50,
  });
  const client = reliableChannel<number>(
    ({ signal }) => connect(inner.address, { signal }),
  );
  const server = await listener.accept();
  client.send(1).catch(() => {});
  client.send(2).catch(() => {});
  assertEquals(await server.receive(), 1);
  inner.close();
  // Without END: as if the process was killed.
  const stuck = server.send(3);
  client.abort();
  await assertRejects(() => stuck, DeliveryError);
  await assertRejects(() => server.closed, ConnectionClosedError);
  assertEquals(listener.sessions, 0);
});

Deno.test("reliable: a server that has forgotten the session gets what is unacknowledged again, or not", async () => {
  for (const onSessionLost of ["resend", "reject"] as const) {
    const first = reliableListener<number>(await listen("tcp:127.0.0.1:0"));
    let address = first.address;
    const resumed: boolean[] = [];
    await using client = reliableChannel<number>(
      ({ signal }) => connect(address, { signal }),
      {
        onSessionLost,
        reconnect: HASTE,
        onReconnect: (event) => resumed.push(event.resumed),
      },
    );
    const server = await first.accept();
    const outcomes = [1, 2, 3].map((n) => client.send(n));
    const all = Promise.allSettled(outcomes);
    assertEquals(await server.receive(), 1);
    await outcomes[0];
    // The next server knows nothing of this one.
    await using second = reliableListener<number>(
      await listen("tcp:127.0.0.1:0"),
    );
    address = second.address;
    lineOf(server).detach(new Error("killed"));
    await first.close();
    if (onSessionLost === "reject") await all; // then there is a new session
    const renewed = await second.accept();
    if (onSessionLost === "resend") {
      assertEquals(await renewed.receive(), 2);
      assertEquals(await renewed.receive(), 3);
      await Promise.all(outcomes);
    } else {
      for (const outcome of outcomes.slice(1)) {
        const error = await assertRejects(() => outcome, DeliveryError);
        assertEquals([error.code, error.maybeDelivered], [
          "session-lost",
          true,
        ]);
      }
    }
    const sending = client.send(4);
    assertEquals(await renewed.receive(), 4);
    await sending;
    const back = renewed.send(5);
    assertEquals(await client.receive(), 5);
    await back;
    assertEquals(resumed, [false]);
    await client.close();
  }
});

Deno.test("reliable: sessions move to a listener that takes the place of the first", async () => {
  await using directory = await temporaryDirectory();
  let inner = await listen(freshAddress("unix", directory.path));
  await using listener = reliableListener<number>(inner);
  await using client = reliableChannel<number>(
    ({ signal }) => connect(inner.address, { signal }),
    { reconnect: HASTE },
  );
  const server = await listener.accept();
  let next = 0;
  const receiving = (async () => {
    for await (const n of server) assertEquals(n, next++);
  })();
  for (let round = 0; round < 20; round++) {
    for (let n = 0; n < 50; n++) client.trySend(round * 50 + n);
    await inner.close();
    inner = await listen(
      freshAddress(["unix", "tcp"][round % 2], directory.path),
    );
    listener.listen(inner);
    lineOf(server).onLost(new Error("the listener restarts"));
  }
  await client.flush();
  assertEquals(next, 1000);
  await client.close();
  await receiving;
});

Deno.test("reliable: timers follow no clock that is set", async () => {
  await using directory = await temporaryDirectory();
  const now = Date.now;
  try {
    await using ends = await reliablePair<number>(
      "unix",
      directory.path,
      new Random(seed),
      {
        client: { timeouts: { idle: 500, send: 2000 } },
        server: { sessionTimeout: 5000, timeouts: { idle: 500 } },
      },
    );
    for (const days of [1, -2, 365, -3650]) {
      Date.now = () => now() + days * 86_400_000;
      const sending = ends.client.send(days);
      assertEquals(await ends.server.receive({ timeout: 2000 }), days);
      await sending;
      ends.proxy.cut();
    }
    const error = await assertRejects(
      () => ends.client.send(0, { timeout: 40 }),
      DeliveryError,
    );
    assertEquals(error.code, "timeout");
  } finally {
    Date.now = now;
  }
});

Deno.test("reliable: validators check both ways, also async ones, in order", async () => {
  const [here, there] = duplexPair();
  const slow = (n: unknown) =>
    new Promise<boolean>((resolve) =>
      setTimeout(() => resolve(n !== 13), n === 1 ? 10 : 0)
    );
  const inner = await listen("tcp:127.0.0.1:0");
  await using listener = reliableListener<number>(inner, {
    validate: { in: slow },
  });
  listener.attach(there);
  await using client = reliableChannel<number>(() => Promise.resolve(here), {
    validate: { out: (n) => n !== 99 },
  });
  const server = await listener.accept();
  await assertRejects(() => client.send(99), Error, "fails the predicate");
  for (const n of [1, 2, 13, 4]) client.trySend(n);
  assertEquals(await server.receive(), 1);
  assertEquals(await server.receive(), 2);
  await assertRejects(() => server.receive(), Error, "fails the predicate");
  assertEquals(await server.receive(), 4);
  await client.flush();
});

Deno.test("reliable: who waits for an async validator can give up, and loses no message", async () => {
  const [here, there] = duplexPair();
  const checks = new Map<number, PromiseWithResolvers<boolean>>();
  const refused: string[] = [];
  const inner = await listen("tcp:127.0.0.1:0");
  await using listener = reliableListener<number>(inner, {
    validate: {
      in: (n) => {
        const check = Promise.withResolvers<boolean>();
        checks.set(n as number, check);
        return check.promise;
      },
    },
    onInvalid: (error) => refused.push(error.message),
  });
  listener.attach(there);
  await using client = reliableChannel<number>(() => Promise.resolve(here));
  const server = await listener.accept();

  const waited = server.receive({ timeout: 200 }); // for one that comes then
  for (const n of [1, 2, 3, 4]) client.trySend(n);
  await assertRejects(() => waited, DOMException, "timed out after 200 ms");
  await assertRejects(() => server.receive({ timeout: 1 }), DOMException);
  assertEquals(server.tryReceive(), undefined); // its check still runs
  checks.get(1)!.resolve(true);
  await checks.get(1)!.promise;
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(server.tryReceive(), 1);
  assertEquals(server.tryReceive(), undefined);
  const next = [server.receive(), server.receive()];
  checks.get(2)!.resolve(false);
  const ended = client.writable.close(); // passes no message by
  while (!checks.has(3)) await new Promise((resolve) => setTimeout(resolve));
  checks.get(3)!.resolve(true);
  assertEquals(await next[0], 3);
  while (!checks.has(4)) await new Promise((resolve) => setTimeout(resolve));
  checks.get(4)!.resolve(true);
  assertEquals(await next[1], 4);
  assertEquals(refused.length, 1);
  await assertRejects(() => server.receive(), ConnectionClosedError);
  await ended;
});

Deno.test("reliable: a store carries a session over to the next server, and is told of its end", async () => {
  const handled = new Map<string, number>();
  const deleted: string[] = [];
  const store = {
    load: (id: string) => handled.get(id),
    save: (id: string, count: number) => void handled.set(id, count),
    delete: (id: string) => void deleted.push(id),
  };
  const serve = async () =>
    reliableListener<number>(await listen("tcp:127.0.0.1:0"), { store });
  const first = await serve();
  let address = first.address;
  const resumed: boolean[] = [];
  await using client = reliableChannel<number>(
    ({ signal }) => connect(address, { signal }),
    {
      reconnect: HASTE,
      onReconnect: (event) => resumed.push(event.resumed),
    },
  );
  const seen: number[] = [];
  const server = await first.accept();
  const stuck = Promise.withResolvers<void>();
  server.handle((n) => {
    seen.push(n);
    if (n === 2) return stuck.promise; // it dies in the middle of this one
  }).catch(() => {});
  await client.send(0);
  await client.send(1);
  const rest = [2, 3].map((n) => client.send(n));
  await assertRejects(() => client.flush({ timeout: 30 }), DeliveryError);

  await using second = await serve();
  address = second.address;
  lineOf(server).detach(new Error("killed"));
  await first.close();
  const renewed = await second.accept();
  const handling = renewed.handle((n) => void seen.push(n));
  await Promise.all(rest);
  const { sessionId } = client;
  const back = renewed.send(4); // numbered as the client expects
  assertEquals(await client.receive(), 4);
  await back;
  await client.close();
  await handling;
  stuck.resolve();
  assertEquals(seen, [0, 1, 2, 2, 3]); // only the one that was not finished
  assertEquals(resumed, [true]);
  assertEquals(handled.get(sessionId), 4);
  assertEquals(deleted, [sessionId]);
});

Deno.test("reliable: a store counts what onInvalid took before it is acknowledged", async () => {
  const counts: number[] = [];
  let saved = Promise.resolve();
  await using listener = reliableListener<number>(
    await listen("tcp:127.0.0.1:0"),
    {
      validate: { in: (message) => Number(message) > 0 },
      onInvalid: () => {},
      store: {
        load: () => undefined,
        save: async (_, count) => {
          await saved;
          counts.push(count);
        },
      },
    },
  );
  await using client = reliableChannel<number>(
    ({ signal }) => connect(listener.address, { signal }),
  );
  const handling = (await listener.accept()).handle(() => {});
  const slow = Promise.withResolvers<void>();
  await client.send(1);
  await client.send(-1, { timeout: 5_000 });
  assertEquals(counts, [1, 2]);
  saved = slow.promise;
  const rest = [-2, -3, 2, -4].map((n) => client.send(n, { timeout: 5_000 }));
  await new Promise((resolve) => setTimeout(resolve, 5)); // amid a save
  assertEquals(counts, [1, 2]);
  slow.resolve();
  await Promise.all(rest);
  assertEquals(counts.at(-1), 6);
  assertEquals(counts, counts.toSorted((a, b) => a - b));
  await client.close();
  await handling;
});

Deno.test("reliable: a client that is not allowed learns that at once", async () => {
  const inner = await listen("tcp:127.0.0.1:0");
  const errors: unknown[] = [];
  await using _listener = reliableListener<number>(inner, {
    identify: () => {
      throw new Error("a stranger");
    },
    onError: (error) => errors.push(error),
  });
  const client = reliableChannel<number>(
    ({ signal }) => connect(inner.address, { signal }),
  );
  const error = await assertRejects(() => client.closed, ProtocolError);
  assertEquals(error.code, "refused");
  assert(String(errors[0]).includes("a stranger"));
});

Deno.test("reliable: a message above maxFrameLength is refused, and the channel goes on", async () => {
  await using directory = await temporaryDirectory();
  await using ends = await reliablePair<Uint8Array>(
    "unix",
    directory.path,
    new Random(seed),
    { client: { maxFrameLength: 1000 } },
  );
  const error = await assertRejects(
    () => ends.client.send(new Uint8Array(2000)),
    FrameError,
    "exceeds maxFrameLength 1000",
  );
  assertEquals(error.code, "too-long");
  const sending = ends.client.send(new Uint8Array(10));
  assertEquals((await ends.server.receive()).length, 10);
  await sending;
});
