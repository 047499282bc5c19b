import { fileURLToPath } from "node:url";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { type Connection, ConnectionClosedError } from "../duplex.ts";
import { connectUnix, listenUnix } from "../socket/mod.ts";
import {
  connectTcp,
  createPool,
  type Lease,
  listenTcp,
  type PoolOptions,
  serveConnections,
  type TcpListener,
} from "../tcp/mod.ts";
import { startDenoPeer, temporaryDirectory } from "./_tools.ts";

interface EchoServer extends AsyncDisposable {
  listener: TcpListener;
  port: number;
  /** Connections that are open on its side. */
  open: Set<Connection>;
  stop(): Promise<void>;
}

async function echoServer(port = 0): Promise<EchoServer> {
  const stop = new AbortController();
  const listener = await listenTcp({ port });
  const open = new Set<Connection>();
  const served = serveConnections(listener, async (connection) => {
    open.add(connection);
    const gone = () => open.delete(connection);
    connection.closed.then(gone, gone);
    await connection.readable.pipeTo(connection.writable).catch(() => {});
  }, { signal: stop.signal, graceTimeout: 0 });
  const end = async () => {
    for (const connection of open) connection.abort();
    stop.abort();
    await served;
  };
  return {
    listener,
    port: listener.port,
    open,
    stop: end,
    [Symbol.asyncDispose]: end,
  };
}

function poolOf(port: number, options: PoolOptions = {}) {
  return createPool(
    ({ signal }) => connectTcp({ port, signal, lingerTimeout: 0 }),
    options,
  );
}

async function echo(connection: Connection, byte: number): Promise<void> {
  const writer = connection.writable.getWriter();
  await writer.write(new Uint8Array([byte]));
  writer.releaseLock();
  const reader = connection.readable.getReader();
  try {
    const { value } = await reader.read();
    assertEquals(value, new Uint8Array([byte]));
  } finally {
    reader.releaseLock();
  }
}

/** Lets what is under way come to an end. */
async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    assert(tries < 500, `never: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

Deno.test("createPool uses a connection again", async () => {
  await using server = await echoServer();
  await using pool = poolOf(server.port);
  for (let round = 0; round < 20; round++) {
    await pool.use((connection) => echo(connection, round));
  }
  const { opened, acquired, idle, leased } = pool.counters();
  assertEquals({ opened, acquired, idle, leased }, {
    opened: 1,
    acquired: 20,
    idle: 1,
    leased: 0,
  });
});

Deno.test("createPool never opens more than max, and serves in order", async () => {
  await using server = await echoServer();
  await using pool = poolOf(server.port, { max: 3 });
  const order: number[] = [];
  let most = 0;
  await Promise.all(
    Array.from({ length: 30 }, (_, index) =>
      pool.use(async (connection) => {
        order.push(index);
        most = Math.max(most, pool.counters().leased);
        await echo(connection, index);
      })),
  );
  assertEquals(order, order.toSorted((a, b) => a - b));
  assertEquals(most, 3);
  assertEquals(pool.counters().opened, 3);
});

Deno.test("createPool bounds the wait and the waiters", async () => {
  await using server = await echoServer();
  await using pool = poolOf(server.port, {
    max: 1,
    maxWaiters: 2,
    acquireTimeout: 30,
  });
  await using lease = await pool.acquire();
  const stop = new AbortController();
  const first = assertRejects(
    () => pool.acquire(),
    DOMException,
    "timed out after 30 ms",
  );
  const second = assertRejects(
    () => pool.acquire({ signal: stop.signal }),
    Error,
    "enough",
  );
  await assertRejects(
    () => pool.acquire(),
    Deno.errors.Busy,
    "2 callers wait",
  );
  stop.abort(new Error("enough"));
  await Promise.all([first, second]);
  assertEquals(pool.counters().waiting, 0);
  assertEquals(pool.counters().timedOut, 1);
  // Who gave up takes nothing away from who comes later.
  const third = pool.acquire({ timeout: 5_000 });
  lease.release();
  (await third).release();
  await assertRejects(
    () => pool.acquire({ signal: AbortSignal.abort(new Error("before")) }),
    Error,
    "before",
  );
});

Deno.test("createPool never leases a connection that broke", async () => {
  await using server = await echoServer();
  await using pool = poolOf(server.port, { max: 2 });
  // While it is leased.
  await assertRejects(
    () =>
      pool.use(async (connection) => {
        await echo(connection, 1);
        for (const end of server.open) end.abort();
        const reader = connection.readable.getReader();
        const { done } = await reader.read();
        reader.releaseLock();
        if (done) throw new Error("ended");
      }),
    Error,
    "ended",
  );
  assertEquals(pool.counters().idle, 0);
  assertEquals(pool.counters().discarded, 1);
  // While it lies idle.
  await pool.use((connection) => echo(connection, 2));
  assertEquals(pool.counters().idle, 1);
  for (const end of server.open) await end.close();
  await until(() => pool.counters().idle === 0);
  assertEquals(pool.counters().discarded, 2);
  await pool.use((connection) => echo(connection, 3));
});

Deno.test("createPool takes back nothing that is in the middle of something", async () => {
  await using server = await echoServer();
  await using pool = poolOf(server.port, { max: 1 });
  // A reader is still locked.
  {
    await using lease = await pool.acquire();
    lease.connection.readable.getReader();
  }
  assertEquals(pool.counters().discarded, 1);
  // Its own user ended it.
  {
    await using lease = await pool.acquire();
    lease.connection.abort();
  }
  assertEquals(pool.counters().discarded, 2);
  // An answer was left unread.
  {
    await using lease = await pool.acquire();
    const writer = lease.connection.writable.getWriter();
    await writer.write(new Uint8Array([1]));
    writer.releaseLock();
  }
  await until(() => pool.counters().discarded === 3);
  assertEquals(pool.counters().idle, 0);
  // What failed half way.
  await assertRejects(
    () =>
      pool.use(() => {
        throw new Error("half way");
      }),
    Error,
    "half way",
  );
  assertEquals(pool.counters().discarded, 4);
  await pool.use((connection) => echo(connection, 9));
});

Deno.test("createPool ignores what comes after a release", async () => {
  await using server = await echoServer();
  await using pool = poolOf(server.port, { max: 1 });
  const lease = await pool.acquire();
  lease.release();
  lease.release();
  const next = await pool.acquire();
  lease.discard();
  lease.release();
  assertEquals(pool.counters().leased, 1);
  await echo(next.connection, 4);
  next.release();
});

Deno.test("createPool checks before it leases", async () => {
  await using server = await echoServer();
  let verdict: boolean | Error | "never" = true;
  let asked = 0;
  await using pool = poolOf(server.port, {
    max: 2,
    checkTimeout: 20,
    async check(connection) {
      asked++;
      await echo(connection, 200);
      if (verdict instanceof Error) throw verdict;
      if (verdict === "never") return new Promise<boolean>(() => {});
      return verdict;
    },
  });
  const opened = () => pool.counters().opened;
  await pool.use((connection) => echo(connection, 1));
  assertEquals([asked, opened()], [0, 1]); // a new one is not asked about
  await pool.use((connection) => echo(connection, 2));
  assertEquals([asked, opened()], [1, 1]);
  verdict = false;
  await pool.use((connection) => echo(connection, 3));
  assertEquals([asked, opened()], [2, 2]);
  verdict = new Error("sick");
  await pool.use((connection) => echo(connection, 4));
  assertEquals([asked, opened()], [3, 3]);
  verdict = "never";
  await pool.use((connection) => echo(connection, 5));
  assertEquals([asked, opened()], [4, 4]);
  assertEquals(pool.counters().discarded, 3);
});

Deno.test("createPool closes what lies idle or is too old, down to min", async () => {
  await using server = await echoServer();
  await using pool = poolOf(server.port, { min: 1, max: 4, idleTimeout: 40 });
  await until(() => pool.counters().idle === 1); // opened unasked
  const leases = await Promise.all([1, 2, 3, 4].map(() => pool.acquire()));
  for (const lease of leases) lease.release();
  assertEquals(pool.counters().idle, 4);
  await until(() => pool.counters().idle === 1);
  assertEquals(pool.counters().expired, 3);
  await until(() => server.open.size === 1);

  await using short = poolOf(server.port, { lifetime: 20 });
  await short.use((connection) => echo(connection, 1));
  await until(() => short.counters().idle === 0);
  assertEquals(short.counters().expired, 1);
  const lease = await short.acquire();
  await new Promise((resolve) => setTimeout(resolve, 30));
  await echo(lease.connection, 2); // age alone takes nothing away
  lease.release();
  assertEquals(short.counters().expired, 2);
});

Deno.test("createPool takes back a lease that lasts too long", async () => {
  await using server = await echoServer();
  await using pool = poolOf(server.port, { max: 1, leaseTimeout: 30 });
  const lease = await pool.acquire();
  const next = await pool.acquire(); // waits for the timeout
  assertEquals(pool.counters().lost, 1);
  await assertRejects(
    () => lease.connection.closed,
    DOMException,
    "its lease lasted longer than leaseTimeout 30 ms",
  );
  lease.release();
  await echo(next.connection, 1);
  next.release();
});

Deno.test("createPool takes back a lease that was forgotten", async () => {
  // The garbage collector has to be called: a process with a flag of V8.
  const script = fileURLToPath(
    new URL("peers/pool_forgotten.ts", import.meta.url),
  );
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--v8-flags=--expose-gc", script],
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  assertEquals(new TextDecoder().decode(stdout).trim(), "lost 10, leased 0");
});

Deno.test("createPool rejects with what connect throws, and goes on", async () => {
  let port = 0;
  await using server = await echoServer();
  await using pool = createPool(
    ({ signal }) => {
      if (port === 0) throw new Deno.errors.ConnectionRefused("not yet");
      return connectTcp({ port, signal });
    },
    { max: 2 },
  );
  await Promise.all(
    [1, 2, 3].map(() =>
      assertRejects(() => pool.acquire(), Deno.errors.ConnectionRefused)
    ),
  );
  assertEquals(pool.counters().failed, 3);
  assertEquals(pool.counters().connecting, 0);
  port = server.port;
  await pool.use((connection) => echo(connection, 1));
});

Deno.test("createPool frees the place of a connect that hangs", async () => {
  await using server = await echoServer();
  let late: PromiseWithResolvers<Connection> | undefined = Promise
    .withResolvers<Connection>();
  const hanging = late.promise;
  let signalled = false;
  await using pool = createPool(
    ({ signal }) => {
      if (late === undefined) return connectTcp({ port: server.port });
      signal.addEventListener("abort", () => signalled = true);
      return hanging;
    },
    { max: 1, connectTimeout: 20 },
  );
  await assertRejects(() => pool.acquire(), DOMException, "timed out");
  assert(signalled);
  const resolveLate = late.resolve;
  late = undefined;
  await pool.use((connection) => echo(connection, 1));
  const connection = await connectTcp({ port: server.port });
  resolveLate(connection);
  await assertRejects(() => connection.closed); // it is not kept
  assertEquals(pool.counters().opened, 1);
});

Deno.test("createPool outlives its server, again and again", async () => {
  const first = await echoServer();
  const { port } = first;
  await first.stop();
  await using pool = poolOf(port, { max: 4, min: 2 });
  for (let round = 0; round < 3; round++) {
    // Refused, or reset while the listener is still going away.
    await assertRejects(() => pool.use((connection) => echo(connection, 0)));
    await using server = await echoServer(port);
    await Promise.all(Array.from(
      { length: 20 },
      (_, index) => pool.use((connection) => echo(connection, index)),
    ));
    await server.stop();
    await until(() => pool.counters().idle === 0);
  }
  assertEquals(pool.counters().leased, 0);
});

Deno.test("createPool outlives a server that is killed", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  await using pool = createPool(
    ({ signal }) =>
      connectUnix({ path, signal, retry: { retries: 100, maxDelay: 20 } }),
    { max: 3 },
  );
  let answers = 0;
  const ask = () =>
    pool.use(async (connection) => {
      await echo(connection, 1);
      answers++;
    });
  for (let round = 0; round < 2; round++) {
    await using peer = startDenoPeer("echo_server.ts", path);
    await peer.line();
    await Promise.all([ask(), ask(), ask()]);
    const lease = await pool.acquire();
    await peer.kill();
    await assertRejects(() => echo(lease.connection, 1));
    lease.release(); // it is broken, so it does not go back in
    await until(() => pool.counters().idle === 0);
  }
  assertEquals(answers, 6);
  assertEquals(pool.counters().leased, 0);
});

Deno.test("createPool drains: it waits for leases, and not for ever", async () => {
  await using server = await echoServer();
  const pool = poolOf(server.port, { max: 2 });
  const lease = await pool.acquire();
  const stuck = await pool.acquire();
  const waiting = assertRejects(() => pool.acquire(), ConnectionClosedError);
  let drained = false;
  const done = pool.drain({ timeout: 60_000 }).then(() => drained = true);
  await waiting;
  await assertRejects(
    () => pool.acquire(),
    ConnectionClosedError,
    "the pool is closed",
  );
  await echo(lease.connection, 1); // what is leased works on
  lease.release();
  await until(() => pool.counters().leased === 1);
  assert(!drained);
  await pool.drain({ timeout: 10 });
  await done;
  assertEquals(pool.counters().leased, 0);
  const error = await assertRejects(() => stuck.connection.closed);
  assertInstanceOf(error, ConnectionClosedError);
  await pool[Symbol.asyncDispose]();
  await until(() => server.open.size === 0);
});

Deno.test("createPool drains while a connect is under way", async () => {
  const pool = createPool(() => new Promise<Connection>(() => {}));
  const waiting = assertRejects(() => pool.acquire(), ConnectionClosedError);
  await pool.drain();
  await waiting;
  assertEquals(pool.counters().connecting, 0);
});

Deno.test("createPool drains while a check is under way", async () => {
  await using server = await echoServer();
  const pool = poolOf(server.port, { check: () => new Promise(() => {}) });
  (await pool.acquire()).release();
  const waiting = assertRejects(() => pool.acquire(), ConnectionClosedError);
  await pool.drain();
  await waiting;
  assertEquals(pool.counters().discarded, 1);
});

Deno.test("createPool fails, and counts right, where connect brings no connection", async () => {
  for (const wrong of [undefined, {}]) {
    const connect = (() => wrong) as unknown as () => Promise<Connection>;
    await using pool = createPool(connect, { max: 1 });
    for (const failed of [1, 2]) {
      await assertRejects(
        () => pool.acquire(),
        TypeError,
        "expected a Connection from connect, received",
      );
      const counters = pool.counters();
      assertEquals([counters.failed, counters.connecting], [failed, 0]);
    }
  }
});

Deno.test("createPool refuses bad options", () => {
  const connect = () => connectTcp({ port: 1 });
  for (
    const options of [
      { max: 0 },
      { min: -1 },
      { min: 3, max: 2 },
      { idleTimeout: 0 },
      { lifetime: -1 },
      { leaseTimeout: NaN },
      { maxWaiters: 1.5 },
    ]
  ) assertThrows(() => createPool(connect, options), RangeError, "Invalid");
  assertThrows(
    () => createPool(5 as unknown as typeof connect),
    TypeError,
    "Invalid connect",
  );
});

Deno.test("createPool works over Unix sockets, and leases at random", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  const stop = new AbortController();
  const served = serveConnections(
    await listenUnix({ path }),
    (connection) => connection.readable.pipeTo(connection.writable),
    { signal: stop.signal },
  );
  const pool = createPool(({ signal }) => connectUnix({ path, signal }), {
    max: 4,
    idleTimeout: 3,
  });
  const leases: Lease[] = [];
  let state = 7;
  const random = (below: number) =>
    (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % below;
  for (let step = 0; step < 500; step++) {
    const choice = random(4);
    if (choice < 2 && leases.length < 4) {
      const lease = await pool.acquire();
      await echo(lease.connection, step & 255);
      leases.push(lease);
    } else if (leases.length > 0) {
      const [lease] = leases.splice(random(leases.length), 1);
      if (choice === 2) lease.discard();
      else lease.release();
    }
    const { idle, leased, connecting } = pool.counters();
    assertEquals(leased, leases.length);
    assert(idle + leased + connecting <= 4);
  }
  for (const lease of leases) lease.release();
  await pool.drain();
  stop.abort();
  await served;
});
