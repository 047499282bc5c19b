import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect, listen, schemes } from "../address.ts";
import type { PeerDeniedError } from "../socket/mod.ts";
import { certificates, hasOpenssl } from "./_certificates.ts";
import { noShm } from "./_shm.ts";
import { startDenoPeer, temporaryDirectory } from "./_tools.ts";

const unix = Deno.build.os !== "windows";
const linux = Deno.build.os === "linux";

/** Listens, connects, and sends a byte across. */
async function meet(
  at: string | URL,
  to?: string | URL,
): Promise<{ address: string; remote: string }> {
  await using listener = await listen(at);
  await using client = await connect(to ?? listener.address);
  await using server = await listener.accept();
  await client.writable.getWriter().write(new Uint8Array([42]));
  const { value } = await server.readable.getReader().read();
  assertEquals(value, new Uint8Array([42]));
  return { address: listener.address, remote: client.remote };
}

Deno.test("connect and listen take tcp: addresses in each form", async () => {
  for (
    const at of ["tcp:127.0.0.1:0", "tcp://127.0.0.1:0", "tcp:localhost:0"]
  ) {
    const { address, remote } = await meet(at);
    assert(/^tcp:127\.0\.0\.1:\d+$/.test(address), address);
    assertEquals(remote, address);
  }
  await using listener = await listen(new URL("tcp://localhost:0"));
  const port = listener.address.split(":").at(-1);
  for (
    const to of [
      `tcp://localhost:${port}`,
      `tcp://localhost:${port}/`,
      new URL(`tcp://localhost:${port}`),
      new URL(`tcp:localhost:${port}`),
    ]
  ) {
    await using client = await connect(to);
    await using _server = await listener.accept();
    assertEquals(client.remote, listener.address);
  }
});

Deno.test({
  name: "one program connects, then accepts, over any transport",
  ignore: !linux,
  async fn() {
    await using directory = await temporaryDirectory();
    for (const scheme of ["unix", "shm", "fifo"]) {
      await meet(`${scheme}:${directory.path}/${scheme}`);
    }
  },
});

Deno.test({
  name: "connect and listen take unix: addresses in each form",
  ignore: !unix,
  async fn() {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/a b#c%d?é.sock`;
    await meet(`unix:${path}`);
    await meet(`unix://${path}`);
    const url = new URL("unix:///");
    url.pathname = path.replaceAll("%", "%25");
    await meet(url, `unix:${path}`);
    assertEquals((await meet(`unix:${path}`, url)).remote, `unix:${path}`);
  },
});

Deno.test({
  name: "connect and listen take abstract names",
  ignore: !linux,
  fn: async () => {
    await meet(`unix:@sluice-${crypto.randomUUID()}`);
  },
});

Deno.test({
  name: "connect and listen take tls: addresses",
  ignore: !hasOpenssl(),
  async fn() {
    const { server, ca } = await certificates();
    await using listener = await listen("tls:127.0.0.1:0", { tls: server });
    await using client = await connect(
      listener.address.replace("127.0.0.1", "localhost"),
      { tls: { caCerts: [ca] } },
    );
    await using _server = await listener.accept();
    assertEquals(client.remote, listener.address);
  },
});

Deno.test("connect and listen hand on the options of the scheme", async () => {
  await assertRejects(
    () => connect("tcp:127.0.0.1:1", { tcp: { sendBufferSize: 0 } }),
    RangeError,
    "Invalid sendBufferSize",
  );
  await assertRejects(
    () => connect("tcp:127.0.0.1:1", { idleTimeout: 0 }),
    RangeError,
    "Invalid idleTimeout",
  );
  await assertRejects(
    () => listen("unix:/tmp/x", { unix: { mode: 0o7777 } }),
    RangeError,
    "Invalid mode",
  );
  const reason = new Error("no");
  await assertRejects(
    () => connect("tcp:127.0.0.1:1", { signal: AbortSignal.abort(reason) }),
    Error,
    "no",
  );
});

Deno.test({
  name: "listen takes allow for the transports that know who connects",
  ignore: noShm,
  async fn() {
    await using directory = await temporaryDirectory();
    for (const scheme of ["unix", "shm"]) {
      const address = `${scheme}:${directory.path}/${scheme}`;
      const denied = Promise.withResolvers<PeerDeniedError>();
      await using listener = await listen(address, {
        allow: ({ pid }) => pid !== Deno.pid,
        onDenied: denied.resolve,
      });
      const accepting = listener.accept().catch(() => {});
      const refused = connect(address).then((connection) =>
        connection[Symbol.asyncDispose]()
      ).catch(() => {}); // shm: shakes hands before it is there
      assertEquals((await denied.promise).peer?.pid, Deno.pid);
      await refused;
      await listener.close();
      await accepting;
    }
    const others = schemes({ listen: true })
      .filter((scheme) => !["unix", "shm"].includes(scheme));
    for (const scheme of others) {
      await assertRejects(
        () => listen(`${scheme}:127.0.0.1:0`, { allow: "same-user" }),
        TypeError,
        "allow needs to know the peer's user, which only unix: and shm: tell",
      );
    }
  },
});

Deno.test("connect and listen say what is wrong with an address", async () => {
  const known = schemes().map((name) => `${name}:`).join(", ");
  const cases: [string, string][] = [
    ["", `Cannot connect to "": expected one of ${known}`],
    ["localhost:9000", `"localhost:9000": expected one of ${known}`],
    ["/run/a.sock", `"/run/a.sock": expected one of ${known}`],
    ["http://a/", `"http://a/": expected one of ${known}`],
    ["constructor:x", `"constructor:x": expected one of ${known}`],
    ["localhost:9000", 'such as "tcp:localhost:9000"'],
    ["[::1]:9000", 'such as "tcp:[::1]:9000"'],
    ["./a.sock", 'such as "unix:./a.sock"'],
    ["/run/a.sock", 'such as "unix:/run/a.sock"'],
    ["file:///run/a.sock", 'such as "unix:/run/a.sock"'],
    ["UNIX:/run/a.sock", 'such as "unix:/run/a.sock"'],
    [" unix:/run/a.sock", 'such as "unix:/run/a.sock"'],
    ["ws://a:80/x", 'such as "tcp:a:80"'],
    ["unix:", 'Cannot connect to "unix:": nothing follows unix:'],
    ["tcp:", 'Cannot connect to "tcp:": nothing follows tcp:'],
    ["tcp:localhost", '"tcp:localhost": expected tcp:host:port'],
    ["tcp:localhost:", "expected tcp:host:port"],
    ["tcp::9000", "expected tcp:host:port"],
    ["tcp:::1:9000", "an IPv6 host in brackets"],
    ["tcp:host:http", "expected tcp:host:port"],
    ["tcp:host:-1", "expected tcp:host:port"],
    ["tcp://host:1/path", "expected tcp:host:port"],
    ["tcp://host", "expected tcp:host:port"],
    ["tls:host", '"tls:host": expected tls:host:port'],
    ["unix://run/a.sock", "write unix:/path"],
  ];
  for (const [address, message] of cases) {
    await assertRejects(() => connect(address), TypeError, message);
    await assertRejects(
      () => listen(address, { tls: { cert: "x", key: "x" } }),
      TypeError,
      message.replace("Cannot connect to", "Cannot listen on"),
    );
  }
  for (const address of [undefined, null, 7, {}] as unknown as string[]) {
    await assertRejects(
      () => connect(address),
      TypeError,
      "expected a string or a URL",
    );
  }
  await assertRejects(
    () => connect("tcp:host:65536"),
    RangeError,
    "Invalid port: expected an integer from 1 to 65535, received 65536",
  );
  await assertRejects(
    () => connect(new URL("unix:///tmp/%ff")),
    TypeError,
    "is not valid UTF-8 when unescaped",
  );
  await assertRejects(
    () => connect(new URL("unix:///tmp/a#b")),
    TypeError,
    "escape # and ? in a URL",
  );
  await assertRejects(
    () => listen("tls:127.0.0.1:0"),
    TypeError,
    "Cannot listen on tls:127.0.0.1:0: the options of listen lack tls: { cert, key }",
  );
});

Deno.test("schemes lists those that can be listened on", () => {
  for (const scheme of ["unix", "tcp", "tls", "shm"]) {
    assert(schemes().includes(scheme));
    assert(schemes({ listen: true }).includes(scheme));
  }
});

/** Runs a program whose listener nobody waits for any more, to its end. */
async function runToEnd(address: string, ...options: object[]): Promise<void> {
  await using peer = startDenoPeer(
    "idle_listener.ts",
    address,
    ...options.map((each) => JSON.stringify(each)),
  );
  assertEquals(await peer.line(), "served");
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    peer.process.kill("SIGKILL");
  }, 10_000);
  const { code } = await peer.status;
  clearTimeout(timer);
  assert(!late, `a listener on ${address} keeps its program from ending`);
  assertEquals(code, 0);
}

Deno.test("a listener that nobody waits for lets its program end", {
  ignore: !linux,
}, async () => {
  await using directory = await temporaryDirectory();
  await Promise.all(
    [
      `unix:${directory.path}/a`,
      `shm:${directory.path}/b`,
      `fifo:${directory.path}/c`,
      "tcp:127.0.0.1:0",
    ].map((address) => runToEnd(address)),
  );
});

Deno.test("a tls: listener with client certificates lets its program end", {
  ignore: !hasOpenssl(),
}, async () => {
  const { ca, server, client } = await certificates();
  await runToEnd(
    "tls:127.0.0.1:0",
    { tls: { ...server, clientCaCerts: [ca] } },
    { tls: { caCerts: [ca], ...client } },
  );
});
