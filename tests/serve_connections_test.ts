import { assert, assertEquals, assertRejects } from "@std/assert";
import { within } from "../_async/wait.ts";
import type { Connection, Listener } from "../duplex.ts";
import {
  connectTcp,
  listenTcp,
  serveConnections,
  type ServeConnectionsOptions,
} from "../tcp/mod.ts";
import { startPeer } from "./_tools.ts";

const echo = (connection: Connection) =>
  connection.readable.pipeTo(connection.writable);

/** A server that can be stopped, and a way to connect to it. */
async function start(
  handler: Parameters<typeof serveConnections>[1],
  options: ServeConnectionsOptions = {},
) {
  const stop = new AbortController();
  const listener = await listenTcp();
  const served = serveConnections(listener, handler, {
    signal: stop.signal,
    ...options,
  });
  return {
    listener,
    served,
    stop: () => stop.abort(),
    connect: () => connectTcp({ port: listener.port }),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await served;
    },
  };
}

async function ask(connection: Connection, text: string): Promise<string> {
  const writer = connection.writable.getWriter();
  const reader = connection.readable.getReader();
  try {
    await writer.write(new TextEncoder().encode(text));
    const { value } = await reader.read();
    return new TextDecoder().decode(value);
  } finally {
    writer.releaseLock();
    reader.releaseLock();
  }
}

Deno.test("serveConnections lets one handler's error touch no other connection", async () => {
  const reported: [unknown, string | undefined][] = [];
  let handled = 0;
  await using server = await start((connection) => {
    if (handled++ === 1) throw new Error("a bug");
    return echo(connection);
  }, {
    onError: (error, connection) => {
      reported.push([error, connection?.remote]);
      throw new Error("a hook that throws ends nothing");
    },
  });
  await using first = await server.connect();
  assertEquals(await ask(first, "one"), "one");
  await using broken = await server.connect();
  const result = await broken.readable.getReader().read().catch(() => "lost");
  assert(result === "lost" || (result as { done: boolean }).done);
  await using third = await server.connect();
  assertEquals(await ask(third, "three"), "three");
  assertEquals(await ask(first, "again"), "again");
  assertEquals(reported.length, 1);
  assertEquals((reported[0][0] as Error).message, "a bug");
  assertEquals(reported[0][1], broken.local);
});

Deno.test("serveConnections handles at most maxConnections at once", async () => {
  let running = 0, most = 0;
  await using server = await start(async (connection) => {
    most = Math.max(most, ++running);
    await echo(connection);
    running--;
  }, { maxConnections: 2 });
  const answers = await Promise.all(
    Array.from({ length: 7 }, async (_, index) => {
      await using connection = await server.connect();
      return await ask(connection, String(index));
    }),
  );
  assertEquals(answers, ["0", "1", "2", "3", "4", "5", "6"]);
  assertEquals(most, 2);
});

Deno.test("serveConnections lets handlers finish when it stops", async () => {
  const begun = Promise.withResolvers<void>();
  const server = await start(async (connection, { signal }) => {
    const stopped = new Promise((resolve) =>
      signal.addEventListener("abort", resolve)
    );
    begun.resolve();
    await stopped;
    await connection.writable.getWriter().write(
      new TextEncoder().encode("bye"),
    );
  });
  await using connection = await server.connect();
  await begun.promise;
  server.stop();
  assertEquals(
    await new Response(connection.readable as BodyInit).text(),
    "bye",
  );
  await connection.close();
  await server.served;
  await assertRejects(() => server.connect(), Deno.errors.ConnectionRefused);
});

Deno.test("serveConnections aborts what goes on after the grace time", async () => {
  const begun = Promise.withResolvers<void>();
  const reported = Promise.withResolvers<unknown>();
  const server = await start((connection) => {
    begun.resolve();
    return echo(connection); // the client never ends
  }, { graceTimeout: 20, onError: (error) => reported.resolve(error) });
  await using connection = await server.connect();
  await begun.promise;
  server.stop();
  await server.served;
  const error = await reported.promise as DOMException;
  assertEquals(error.name, "TimeoutError");
  assert(error.message.endsWith("its grace time of 20 ms is over"));
  const result = await connection.readable.getReader().read().catch(() => "x");
  assert(result === "x" || (result as { done: boolean }).done);
});

Deno.test("serveConnections takes a grace time that no timer holds", async () => {
  const begun = Promise.withResolvers<void>();
  const server = await start((connection) => {
    begun.resolve();
    return echo(connection);
  }, { graceTimeout: 1e12 });
  await using connection = await server.connect();
  await begun.promise;
  server.stop();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(await ask(connection, "still here"), "still here");
  await connection.close();
  await server.served;
});

Deno.test("serveConnections does not begin with an aborted signal", async () => {
  const listener = await listenTcp();
  await serveConnections(listener, echo, { signal: AbortSignal.abort() });
  await assertRejects(
    () => connectTcp(listener),
    Deno.errors.ConnectionRefused,
  );
});

Deno.test("serveConnections ends when its listener is closed, and drains", async () => {
  const server = await start(echo);
  const connection = await server.connect();
  assertEquals(await ask(connection, "one"), "one");
  await server.listener.close();
  assertEquals(await ask(connection, "two"), "two");
  await connection.close();
  await server.served;
});

Deno.test("serveConnections reports a failed accept and goes on", async () => {
  const listener = await listenTcp();
  let failures = 2;
  const flaky: Listener = {
    address: listener.address,
    accept: () =>
      failures-- > 0
        ? Promise.reject(new Error("Too many open files"))
        : listener.accept(),
    close: () => listener.close(),
    [Symbol.asyncDispose]: () => listener.close(),
    [Symbol.asyncIterator]: () => listener[Symbol.asyncIterator](),
  };
  const reported: string[] = [];
  const served = serveConnections(flaky, echo, {
    onError: (error) => reported.push((error as Error).message),
  });
  {
    await using connection = await connectTcp(listener);
    assertEquals(await ask(connection, "hello"), "hello");
  }
  await listener.close();
  await served;
  assertEquals(reported, ["Too many open files", "Too many open files"]);
});

Deno.test("serveConnections ends when nothing can be accepted any more", async () => {
  const listener = await listenTcp();
  let closed = false;
  const broken: Listener = {
    address: listener.address,
    accept: () => Promise.reject(new Error("Bad file descriptor")),
    close: () => {
      closed = true;
      return listener.close();
    },
    [Symbol.asyncDispose]: () => listener.close(),
    [Symbol.asyncIterator]: () => listener[Symbol.asyncIterator](),
  };
  const { setTimeout } = globalThis;
  globalThis.setTimeout = ((callback: () => void) =>
    // 5 s of pauses
    setTimeout(callback, 0)) as typeof setTimeout;
  try {
    let reported = 0;
    const served = serveConnections(broken, echo, {
      onError: () => void reported++,
    });
    await assertRejects(() => served, Error, "Bad file descriptor");
    assertEquals([reported, closed], [100, true]);
  } finally {
    globalThis.setTimeout = setTimeout;
  }
});

Deno.test("serveConnections goes on after its clients had all descriptors", {
  ignore: Deno.build.os === "windows",
}, async () => {
  const url = (path: string) => JSON.stringify(new URL(path, import.meta.url));
  await using peer = startPeer("sh", [
    "-c",
    `ulimit -n 64; exec "$@"`,
    "sh",
    Deno.execPath(),
    "eval",
    `import { listenTcp, serveConnections } from ${url("../tcp/mod.ts")};
    const { setTimeout } = globalThis;
    globalThis.setTimeout = (callback) => setTimeout(callback, 1); // no pauses
    // The runtime panics where it sets signals up without a descriptor.
    Deno.addSignalListener("SIGUSR2", () => {});
    const listener = await listenTcp();
    console.log(listener.address);
    let failures = 0;
    const echo = ({ readable, writable }) => readable.pipeTo(writable);
    await serveConnections(listener, echo, {
      onError: (error) => error.code === "EMFILE" && ++failures === 300 &&
        console.log("full"),
    });`,
  ]);
  const port = Number((await peer.line()).split(":").at(-1));
  await using first = await connectTcp({ port });
  assertEquals(await ask(first, "hello"), "hello");
  const clients = await Promise.all(
    Array.from({ length: 80 }, () => connectTcp({ port })),
  );
  const full = within(peer.line(), "Cannot fill it", { timeout: 10_000 });
  assertEquals(await full, "full");
  for (const client of clients) client.abort();
  await using last = await connectTcp({ port });
  assertEquals(await ask(last, "again"), "again");
});

Deno.test("serveConnections refuses bad arguments", async () => {
  await using listener = await listenTcp();
  await assertRejects(
    () => serveConnections(listener, echo, { maxConnections: 0 }),
    RangeError,
    "Invalid maxConnections",
  );
  await assertRejects(
    () => serveConnections(listener, echo, { graceTimeout: -1 }),
    RangeError,
    "Invalid graceTimeout",
  );
});
