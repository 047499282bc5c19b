import { assert, assertEquals, assertRejects } from "@std/assert";
import { resolveRetry, retryDelay } from "../_async/retry.ts";
import {
  IPPROTO_TCP,
  SO_KEEPALIVE,
  SO_RCVBUF,
  SO_SNDBUF,
  SOL_SOCKET,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
} from "../_libc/constants.ts";
import { connectTcp, listenTcp, type TcpStreamOptions } from "../tcp/mod.ts";
import { hasProgram, startPeer } from "./_tools.ts";
import { socketOption } from "./_socket_option.ts";

/** A module as one argument of `deno run`. */
function script(text: string): string {
  return `data:application/typescript,${encodeURIComponent(text)}`;
}

const linux = Deno.build.os === "linux";

/** A connection whose two sides have the options. */
async function pair(options: TcpStreamOptions = {}, hostname = "127.0.0.1") {
  const listener = await listenTcp({ ...options, hostname });
  const client = await connectTcp({
    ...options,
    hostname,
    port: listener.port,
  });
  const server = await listener.accept();
  return {
    client,
    server,
    listener,
    ends: [client, server],
    async [Symbol.asyncDispose]() {
      client.abort();
      server.abort();
      await listener.close();
    },
  };
}

const hasIpv6 = (() => {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
})();

Deno.test("TCP connections send small messages at once unless told otherwise", async () => {
  for (
    const [noDelay, value] of [[undefined, 1], [true, 1], [false, 0]] as const
  ) {
    await using both = await pair({ noDelay });
    for (const end of both.ends) {
      assertEquals(socketOption(end, IPPROTO_TCP, TCP_NODELAY), value);
    }
  }
});

Deno.test("TCP connections are kept alive as told", async () => {
  {
    await using both = await pair();
    for (const end of both.ends) {
      assertEquals(socketOption(end, SOL_SOCKET, SO_KEEPALIVE), 0);
    }
  }
  await using both = await pair({
    keepAlive: { idle: 30_000, interval: 1_500, count: 4 },
  });
  for (const end of both.ends) {
    assertEquals(socketOption(end, SOL_SOCKET, SO_KEEPALIVE), 1);
    assertEquals(socketOption(end, IPPROTO_TCP, TCP_KEEPIDLE), 30);
    assertEquals(socketOption(end, IPPROTO_TCP, TCP_KEEPINTVL), 2);
    assertEquals(socketOption(end, IPPROTO_TCP, TCP_KEEPCNT), 4);
  }
});

Deno.test("TCP connections have the buffer sizes that were asked for", async () => {
  await using both = await pair({
    sendBufferSize: 20_000,
    receiveBufferSize: 30_000,
  });
  const factor = linux ? 2 : 1; // socket(7): the kernel doubles it
  for (const end of both.ends) {
    assertEquals(socketOption(end, SOL_SOCKET, SO_SNDBUF), factor * 20_000);
    assertEquals(socketOption(end, SOL_SOCKET, SO_RCVBUF), factor * 30_000);
  }
});

Deno.test({
  name: "TCP works over IPv6, with brackets or without",
  ignore: !hasIpv6,
  async fn() {
    for (const hostname of ["::1", "[::1]"]) {
      await using both = await pair({ sendBufferSize: 20_000 }, hostname);
      assertEquals(
        both.listener.address,
        `tcp:[::1]:${both.listener.port}`,
      );
      assertEquals(both.client.remote, both.listener.address);
      assertEquals(both.server.remote, both.client.local);
      await both.client.writable.getWriter().write(new Uint8Array([6]));
      const { value } = await both.server.readable.getReader().read();
      assertEquals(value, new Uint8Array([6]));
    }
  },
});

Deno.test("connectTcp takes a host name", async () => {
  await using listener = await listenTcp();
  await using client = await connectTcp({
    hostname: "localhost",
    port: listener.port,
  });
  await using _server = await listener.accept();
  assertEquals(client.remote, listener.address);
});

Deno.test("connectTcp says that nothing listens", async () => {
  const listener = await listenTcp();
  await listener.close();
  await assertRejects(
    () => connectTcp(listener),
    Deno.errors.ConnectionRefused,
    `Cannot connect to tcp:127.0.0.1:${listener.port}: nothing listens there`,
  );
});

Deno.test("connectTcp says that a host name does not resolve", async () => {
  await assertRejects(
    () => connectTcp({ hostname: "nowhere.invalid", port: 9 }),
    Deno.errors.NotFound,
    "Cannot connect to tcp:nowhere.invalid:9: the host name does not resolve",
  );
});

Deno.test("connectTcp tries again until the server is there", async () => {
  const first = await listenTcp();
  await first.close(); // a port that is free, and refuses
  const connecting = connectTcp({
    port: first.port,
    retry: { retries: 1000, minDelay: 1, maxDelay: 5 },
  });
  await using listener = await listenTcp({ port: first.port });
  await using _client = await connecting;
  await using _server = await listener.accept();
});

Deno.test("connectTcp gives up after its tries, with the last error", async () => {
  const listener = await listenTcp();
  await listener.close();
  const started = performance.now();
  await assertRejects(
    () =>
      connectTcp({
        port: listener.port,
        retry: { retries: 3, minDelay: 4, jitter: false },
      }),
    Deno.errors.ConnectionRefused,
  );
  assert(performance.now() - started >= 4 + 8 + 16, "the waits double");
});

Deno.test("retry waits twice as long each time, up to maxDelay, or less by jitter", () => {
  const exact = resolveRetry({ minDelay: 10, maxDelay: 50, jitter: false });
  assertEquals(
    [0, 1, 2, 3, 2000].map((tried) => retryDelay(tried, exact)),
    [10, 20, 40, 50, 50],
  );
  const drawn = Array.from(
    { length: 1000 },
    () => retryDelay(9, resolveRetry({ maxDelay: 50 })),
  );
  assert(drawn.every((delay) => delay >= 0 && delay <= 50));
  assert(Math.min(...drawn) < 10 && Math.max(...drawn) > 40);
});

Deno.test("connectTcp ends its tries by timeout and signal", async () => {
  const listener = await listenTcp();
  await listener.close();
  const options = {
    port: listener.port,
    retry: { retries: 1e6, minDelay: 1, maxDelay: 2 },
  };
  const late = await assertRejects(
    () => connectTcp({ ...options, timeout: 25 }),
    DOMException,
    `Cannot connect to tcp:127.0.0.1:${listener.port}: timed out after 25 ms`,
  );
  assertEquals(late.name, "TimeoutError");
  const controller = new AbortController();
  const connecting = connectTcp({ ...options, signal: controller.signal });
  controller.abort(new Error("changed my mind"));
  await assertRejects(() => connecting, Error, "changed my mind");
});

Deno.test({
  name: "connectTcp ends by timeout where a full backlog leaves it waiting",
  ignore: !linux,
  async fn() {
    await using listener = await listenTcp({ backlog: 1 });
    const opened: AsyncDisposable[] = [];
    const late = await assertRejects(
      async () => {
        for (let i = 0; i < 8; i++) {
          opened.push(await connectTcp({ port: listener.port, timeout: 60 }));
        }
      },
      DOMException,
      "timed out after 60 ms",
    );
    assertEquals(late.name, "TimeoutError");
    assert(opened.length < 8, "the backlog bounds what waits");
    await listener.close();
    for (const connection of opened) await connection[Symbol.asyncDispose]();
  },
});

Deno.test("an idle TCP connection ends by idleTimeout, a busy one goes on", async () => {
  // On one side only: the other's end would be a clean one for this side.
  await using listener = await listenTcp({ idleTimeout: 100 });
  const client = await connectTcp(listener);
  const server = await listener.accept();
  const writer = client.writable.getWriter();
  const reader = server.readable.getReader();
  for (let i = 0; i < 25; i++) { // longer than two periods
    await writer.write(new Uint8Array(1));
    await reader.read();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const late = await assertRejects(
    () => reader.read(),
    DOMException,
    "No byte to or from tcp:127.0.0.1:",
  );
  assertEquals(late.name, "TimeoutError");
  client.abort();
});

Deno.test("listenTcp says that the port is taken", async () => {
  await using taken = await listenTcp();
  await assertRejects(
    () => listenTcp({ port: taken.port }),
    Deno.errors.AddrInUse,
    `Cannot listen on tcp:127.0.0.1:${taken.port}: another process listens`,
  );
});

Deno.test("listenTcp says that the address is not this machine's", async () => {
  await assertRejects(
    () => listenTcp({ hostname: "203.0.113.7" }), // RFC 5737: nobody's
    Deno.errors.AddrNotAvailable,
    "Cannot listen on tcp:203.0.113.7:0: this machine has no such address",
  );
});

Deno.test({
  name: "listenTcp shares a port with reusePort",
  ignore: !linux,
  async fn() {
    const module = new URL("../tcp/mod.ts", import.meta.url).href;
    const program = script(`
      import { listenTcp } from ${JSON.stringify(module)};
      try {
        await using first = await listenTcp({ reusePort: true });
        await using second = await listenTcp({ port: first.port, reusePort: true });
        console.log(first.port === second.port);
      } catch (error) {
        console.log(String(error));
      }
    `);
    await using shared = startPeer(Deno.execPath(), [
      ...["run", "--unstable-net", "--allow-net", program],
    ]);
    assertEquals(await shared.line(), "true");
    await using refused = startPeer(Deno.execPath(), [
      ...["run", "--allow-net", program],
    ]);
    assertEquals(
      await refused.line(),
      "NotSupported: Cannot listen on tcp:127.0.0.1:0: reusePort is unstable " +
        "in Deno, run again with --unstable-net",
    );
  },
});

Deno.test("listenTcp and connectTcp refuse bad arguments", async () => {
  const bad: [Record<string, unknown>, string][] = [
    [{ port: 65536 }, "Invalid port"],
    [{ port: 1.5 }, "Invalid port"],
    [{ port: 1, idleTimeout: 0 }, "Invalid idleTimeout"],
    [{ port: 1, closeTimeout: -1 }, "Invalid closeTimeout"],
    [{ port: 1, highWaterMark: -1 }, "Invalid highWaterMark"],
    [{ port: 1, sendBufferSize: 0 }, "Invalid sendBufferSize"],
    [{ port: 1, receiveBufferSize: 2 ** 31 }, "Invalid receiveBufferSize"],
    [{ port: 1, lingerTimeout: -1 }, "Invalid lingerTimeout"],
    [{ port: 1, keepAlive: { idle: 0 } }, "Invalid keepAlive.idle"],
    [{ port: 1, keepAlive: { interval: 1e9 } }, "Invalid keepAlive.interval"],
    [{ port: 1, keepAlive: { count: 128 } }, "Invalid keepAlive.count"],
  ];
  for (const [options, message] of bad) {
    for (const call of [listenTcp, connectTcp]) {
      await assertRejects(
        () => call(options as { port: number }),
        RangeError,
        message,
      );
    }
  }
  await assertRejects(
    () => connectTcp({ port: 0 }),
    RangeError,
    "Invalid port: expected an integer from 1 to 65535, received 0",
  );
  await assertRejects(
    () => connectTcp({ port: "80" as unknown as number }),
    TypeError,
    'Invalid port: expected an integer, received "80"',
  );
  await assertRejects(
    () => connectTcp({ hostname: "", port: 1 }),
    TypeError,
    "Invalid hostname",
  );
  await assertRejects(
    () => listenTcp({ backlog: 0 }),
    RangeError,
    "Invalid backlog",
  );
  await assertRejects(
    () => connectTcp({ port: 1, timeout: -1 }),
    RangeError,
    "Invalid timeout",
  );
  await assertRejects(
    () => connectTcp({ port: 1, retry: { retries: -1 } }),
    RangeError,
    "Invalid retry.retries",
  );
});

Deno.test("closing a listener leaves its connections open", async () => {
  await using both = await pair();
  await both.listener.close();
  await both.client.writable.getWriter().write(new Uint8Array([1]));
  const { value } = await both.server.readable.getReader().read();
  assertEquals(value, new Uint8Array([1]));
});

Deno.test("closing loses nothing though the peer still sends", async () => {
  // Freeing a socket over unread bytes is a reset, which can destroy the answer.
  await using both = await pair();
  const { client, server } = both;
  client.writable.getWriter().write(new Uint8Array(1 << 20)).catch(() => {});
  await server.writable.getWriter().write(new Uint8Array(100_000).fill(7));
  await server.readable.cancel(); // it has heard enough
  const closing = server.close();
  let received = 0;
  for await (const chunk of client.readable) received += chunk.length;
  assertEquals(received, 100_000);
  await client.close();
  await closing;
});

Deno.test("a timeout that no timer holds means none", async () => {
  await using both = await pair({ idleTimeout: 1e12, closeTimeout: Infinity });
  const { client, server } = both;
  await client.writable.getWriter().write(new Uint8Array(3));
  const closing = client.close();
  await new Promise((resolve) => setTimeout(resolve, 20));
  let received = 0;
  for await (const chunk of server.readable) received += chunk.length;
  assertEquals(received, 3);
  await Promise.all([closing, server.close()]);
  await client.closed;
});

Deno.test("a chunk that is no Uint8Array aborts the connection, and close ends", async () => {
  await using both = await pair();
  const writer = both.client.writable.getWriter();
  writer.closed.catch(() => {});
  await assertRejects(
    () => writer.write("text" as unknown as Uint8Array),
    TypeError,
    'expected a Uint8Array, received "text"',
  );
  await both.client.close();
  await assertRejects(() => both.client.closed, TypeError);
});

Deno.test("close ends though a write came after the writer's close", async () => {
  await using both = await pair();
  const writer = both.client.writable.getWriter();
  await writer.write(new Uint8Array(1));
  const ending = writer.close();
  await assertRejects(() => writer.write(new Uint8Array(1)), TypeError);
  await Promise.all([ending, both.client.close()]);
  await both.client.closed;
});

Deno.test("TCP works without --allow-ffi, and says what needs it", async () => {
  const module = new URL("../tcp/mod.ts", import.meta.url).href;
  await using program = startPeer(Deno.execPath(), [
    "run",
    "--no-prompt",
    "--allow-net=127.0.0.1",
    script(`
      import { connectTcp, listenTcp } from ${JSON.stringify(module)};
      const listener = await listenTcp({ keepAlive: true });
      const client = await connectTcp({ port: listener.port, keepAlive: true });
      const server = await listener.accept();
      await client.writable.getWriter().write(new Uint8Array(5));
      console.log((await server.readable.getReader().read()).value.length);
      for (const options of [{ sendBufferSize: 9 }, { keepAlive: { idle: 9 } }]) {
        await listenTcp(options).catch((error) => console.log(String(error)));
      }
      await connectTcp({ hostname: "localhost", port: 1 })
        .catch((error) => console.log(String(error)));
      Deno.exit();
    `),
  ]);
  assertEquals(await program.line(), "5");
  for (let i = 0; i < 2; i++) {
    assertEquals(
      await program.line(),
      "NotCapable: Cannot set socket options of a TCP connection: requires " +
        "ffi access, run again with --allow-ffi",
    );
  }
  assertEquals(
    (await program.line()).split(",")[0],
    'NotCapable: Requires net access to "localhost:1"',
  );
});

Deno.test({
  name: "a Python peer talks to listenTcp by lines",
  ignore: !hasProgram("python3"),
  async fn() {
    await using listener = await listenTcp();
    await using peer = startPeer("python3", [
      "-c",
      "import socket, sys\n" +
      "s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n" +
      "s.sendall(b'hello\\n')\n" +
      "print(s.makefile().readline().strip(), flush=True)\n",
      String(listener.port),
    ]);
    await using connection = await listener.accept();
    const { value } = await connection.readable.getReader().read();
    assertEquals(new TextDecoder().decode(value), "hello\n");
    await connection.writable.getWriter().write(
      new TextEncoder().encode("welcome\n"),
    );
    assertEquals(await peer.line(), "welcome");
  },
});
