// Connections over a real NATS server: queue groups, deaths, lies, errors.

import { fileURLToPath } from "node:url";
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { connect, listen } from "../mod.ts";
import { ConnectionClosedError } from "../duplex.ts";
import { connectNats, listenNats } from "../nats/mod.ts";
import { connectToServer } from "../nats/_client.ts";
import { checkNatsOptions } from "../nats/options.ts";
import { encodeGreeting, encodeMessage, KIND } from "../nats/_wire.ts";
import { client } from "../rpc/mod.ts";
import { within } from "../_async/wait.ts";
import { hasNats, startNats } from "./_nats.ts";
import { startDenoPeer } from "./_tools.ts";

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({
    name,
    ignore: !hasNats,
    fn: () => within(fn(), name, { timeout: 30_000 }),
  });
}

/** The bare client: what a hostile peer has. */
function connectToNats(server: string) {
  const options = { server, subject: "any" };
  return connectToServer({ ...options, ...checkNatsOptions(options) }, {
    reconnect: false,
  });
}

interface Worker {
  pid(): number;
  add(a: number, b: number): number;
  echo(data: Uint8Array): Uint8Array;
  wait(): Promise<never>;
  count(to: number): AsyncIterable<number>;
}

test("nats: carries RPC to workers of a queue group, and tells of a killed one", async () => {
  await using server = await startNats();
  await using first = startDenoPeer("nats_worker.ts", server.address, "math");
  await using second = startDenoPeer("nats_worker.ts", server.address, "math");
  await Promise.all([first.line(), second.line()]);

  const address = `nats://${server.address}/math`;
  // A group spreads connections: some of these go to either worker.
  const clients = await Promise.all(
    Array.from(
      { length: 12 },
      async () => client<Worker>(await connect(address)),
    ),
  );
  const pids = await Promise.all(clients.map((remote) => remote.pid()));
  assertEquals(new Set(pids), new Set([first.pid, second.pid]));

  const doomed = clients[pids.indexOf(first.pid)];
  const spared = clients[pids.indexOf(second.pid)];
  assertEquals(await doomed.add(1, 2), 3);
  assertEquals((await doomed.echo(new Uint8Array(300_000))).length, 300_000);
  const items: number[] = [];
  for await (const item of await spared.count(1000)) items.push(item);
  assertEquals(items.length, 1000);

  const pending = doomed.wait();
  pending.catch(() => {});
  await first.kill();
  await assertRejects(() => pending);
  assertEquals(await spared.add(20, 22), 42);

  await using again = client<Worker>(await connect(address));
  assertEquals(await again.pid(), second.pid);
  await Promise.allSettled(
    clients.map((remote) => remote[Symbol.asyncDispose]()),
  );
});

test("nats: a listener comes back with its server; its connections are lost", async () => {
  const server = await startNats();
  const port = Number(server.address.split(":")[1]);
  await using listener = await listen(`nats:${server.address}/service`);
  const [ours, theirs] = await Promise.all([
    connect(listener.address),
    listener.accept(),
  ]);
  await server.kill();
  for (const end of [ours, theirs]) {
    const reader = end.readable.getReader();
    const error = await assertRejects(
      () => reader.read(),
      ConnectionClosedError,
    );
    assertEquals(error.code, "lost");
  }
  await using _restarted = await startNats({ port });
  const accepting = listener.accept();
  await using late = await connect(listener.address, {
    retry: { retries: 50, maxDelay: 200 },
  });
  await using accepted = await accepting;
  const writer = late.writable.getWriter();
  await writer.write(new Uint8Array([7]));
  assertEquals(
    (await accepted.readable.getReader().read()).value,
    new Uint8Array([7]),
  );
});

test("nats: closing a listener leaves its connections open", async () => {
  await using server = await startNats();
  const listener = await listen(`nats:${server.address}/service`);
  await using ours = await connect(listener.address);
  const theirs = await listener.accept();
  await listener.close();
  await assertRejects(
    () => connect(listener.address, { timeout: 2000 }),
    Deno.errors.ConnectionRefused,
    "nobody listens",
  );
  const writer = ours.writable.getWriter();
  await writer.write(new Uint8Array([1]));
  assertEquals((await theirs.readable.getReader().read()).done, false);
  await Promise.all([theirs.close(), ours.close()]);
});

test("nats: tells what is wrong: no server, no listener, no login, a busy one", async () => {
  const gone = await startNats();
  await gone.kill();
  await assertRejects(
    () => connectNats({ server: gone.address, subject: "a" }),
    Deno.errors.ConnectionRefused,
    gone.address,
  );
  await assertRejects(
    () => listenNats({ server: gone.address, subject: "a" }),
    Deno.errors.ConnectionRefused,
  );

  await using server = await startNats({
    args: ["--user", "me", "--pass", "secret"],
  });
  const options = { server: server.address, subject: "a" };
  await assertRejects(
    () => connectNats(options),
    Deno.errors.PermissionDenied,
  );
  const authentication = { user: "me", password: "secret" };
  await assertRejects(
    () => connectNats({ ...options, authentication }),
    Deno.errors.ConnectionRefused,
    "nobody listens on the subject",
  );
  const listener = await listenNats({ ...options, authentication, backlog: 1 });
  await using _waiting = await connectNats({ ...options, authentication });
  await assertRejects(
    () => connectNats({ ...options, authentication }),
    Deno.errors.ConnectionRefused,
    "the listener is busy, or closes",
  );
  await listener.close();
});

test("nats: addresses and options that can't be are refused", async () => {
  for (const address of ["nats:host", "nats://u:p@host/a", "nats:host/a/b"]) {
    await assertRejects(
      () => connect(address),
      TypeError,
      "expected nats:host:port/subject",
    );
  }
  for (
    const subject of ["", "a b", "a.*", ">", ".a", "a..b", "x".repeat(256)]
  ) {
    await assertRejects(() => connectNats({ subject }), TypeError, "subject");
    await assertRejects(() => listenNats({ subject }), TypeError, "subject");
  }
  await assertRejects(
    () => connectNats({ subject: "a", window: 1 }),
    RangeError,
    "window",
  );
  await assertRejects(
    () => listenNats({ subject: "a", heartbeatInterval: 0 }),
    RangeError,
    "heartbeatInterval",
  );
  await assertRejects(
    () => connectNats({ subject: "a", server: [] }),
    TypeError,
    "server",
  );
});

/** What a hostile client sends after its greeting, and what that gives. */
const LIES: [name: string, messages: Uint8Array[], error: RegExp][] = [
  [
    "a lost message",
    [encodeMessage(KIND.data, 2, new Uint8Array(1))],
    /message 1 was lost/,
  ],
  [
    "more than the window",
    [
      encodeMessage(KIND.data, 1, new Uint8Array(1000)),
      encodeMessage(KIND.data, 2, new Uint8Array(1000)),
    ],
    /window of 1024 bytes/,
  ],
  ["a short message", [new Uint8Array(2)], /too short/],
  [
    "credit for nothing",
    [encodeMessage(KIND.credit, 1, new Uint8Array([0, 0, 0, 9]))],
    /more credit/,
  ],
  [
    "malformed credit",
    [encodeMessage(KIND.credit, 1, new Uint8Array(3))],
    /more credit/,
  ],
  ["an unknown kind", [encodeMessage(99, 1)], /unknown kind 99/],
  [
    "bytes after the end",
    [
      encodeMessage(KIND.end, 1),
      encodeMessage(KIND.data, 2, new Uint8Array(1)),
    ],
    /after the end/,
  ],
];

for (const [name, messages, expected] of LIES) {
  test(`nats: ${name} breaks that connection only`, async () => {
    await using server = await startNats();
    await using listener = await listenNats({
      server: server.address,
      subject: "service",
      window: 1024,
    });
    const hostile = await connectToNats(server.address);
    const welcomed = Promise.withResolvers<string>();
    hostile.subscribe("hostile", {
      callback: (_error, message) => welcomed.resolve(message.reply!),
    });
    // What is no hello is dropped.
    hostile.publish("service", new Uint8Array(1), { reply: "hostile" });
    hostile.publish("service", encodeMessage(KIND.hello, 0), {
      reply: "hostile",
    });
    hostile.publish(
      "service",
      encodeMessage(KIND.hello, 0, encodeGreeting(2 ** 32 - 1)),
      { reply: "hostile" },
    );
    const broken = await listener.accept();
    const inbox = await welcomed.promise;
    for (const message of messages) hostile.publish(inbox, message);

    await hostile.flush();
    const reader = broken.readable.getReader();
    const error = await assertRejects(async () => {
      while (!(await reader.read()).done);
      await broken.writable.getWriter().write(new Uint8Array(1));
    }, ConnectionClosedError);
    assertEquals(error.code, "lost");
    assertMatch(String(error.cause), expected);

    await using fine = await connectNats({
      server: server.address,
      subject: "service",
    });
    await using accepted = await listener.accept();
    await fine.writable.close();
    assertEquals((await accepted.readable.getReader().read()).done, true);
    await hostile.close();
  });
}

test("nats: what answers in another way is no listener", async () => {
  await using server = await startNats();
  const other = await connectToNats(server.address);
  other.subscribe("service", {
    callback: (_error, message) => void message.respond("hello yourself"),
  });
  await other.flush();
  await assertRejects(
    () => connectNats({ server: server.address, subject: "service" }),
    Deno.errors.InvalidData,
    "no listener of this version",
  );
  await other.close();
});

test("nats: a silent network breaks a connection in three heartbeats", async () => {
  await using server = await startNats();
  const silent = await connectToNats(server.address);
  silent.subscribe("service", {
    callback: (_error, message) =>
      silent.publish(
        message.reply!,
        encodeMessage(KIND.welcome, 0, encodeGreeting(65536)),
        { reply: "somebody" },
      ),
  });
  silent.subscribe("somebody"); // there, but says nothing
  await silent.flush();
  const connection = await connectNats({
    server: server.address,
    subject: "service",
    heartbeatInterval: 20,
  });
  const error = await assertRejects(
    () => connection.readable.getReader().read(),
    ConnectionClosedError,
  );
  assertMatch(String(error.cause), /nothing came for 60 ms/);
  await silent.close();
});

test("nats: asks another listener where the first one died with the question", async () => {
  await using server = await startNats();
  const options = { server: server.address, subject: "service" };
  // As a worker that is killed between the question and the answer.
  const dead = await connectToNats(server.address);
  const asked = Promise.withResolvers<void>();
  const subscription = dead.subscribe("service", {
    queue: "sluice",
    callback: () => asked.resolve(),
  });
  await dead.flush();
  const connecting = connectNats({ ...options, heartbeatInterval: 50 });
  await asked.promise;
  await using listener = await listenNats(options);
  subscription.unsubscribe();
  await dead.flush();
  await using client = await connecting;
  await using accepted = await listener.accept();
  await client.writable.close();
  assertEquals((await accepted.readable.getReader().read()).done, true);
  await dead.close();
});

test("nats: closing ends where the server is killed meanwhile", async () => {
  await using server = await startNats();
  const options = { server: server.address, subject: "service" };
  const listener = await listenNats(options);
  const client = await connectNats(options);
  const accepted = await listener.accept();
  await client.writable.close();
  assertEquals((await accepted.readable.getReader().read()).done, true);
  await accepted.writable.close();
  assertEquals((await client.readable.getReader().read()).done, true);
  server.pause(); // it does not answer that it has all
  const closing = client.close();
  await new Promise((go) => setTimeout(go, 20));
  await server.kill();
  await within(closing, "Cannot close", { timeout: 2000 });
  accepted.abort();
  await listener.close();
});

test("examples/nats_service.ts runs as it is", async () => {
  const script = new URL("../examples/nats_service.ts", import.meta.url);
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", fileURLToPath(script)],
    stderr: "inherit",
  }).output();
  const text = new TextDecoder().decode(stdout);
  assertEquals(code, 0, text);
  assertMatch(text, /unix: 1 worker\(s\) answered/);
  assertMatch(text, /nats: 2 worker\(s\) answered/);
});
