import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { type Connection, ConnectionClosedError } from "../duplex.ts";
import { IPPROTO_TCP, TCP_NODELAY } from "../_libc/constants.ts";
import {
  connectTcp,
  connectTls,
  type ConnectTlsOptions,
  listenTcp,
  listenTls,
  type ListenTlsOptions,
  serveConnections,
  tlsDetails,
} from "../tcp/mod.ts";
import { explain } from "../tcp/_address.ts";
import { certificates, hasOpenssl } from "./_certificates.ts";
import { conformance } from "./_conformance.ts";
import { socketOption } from "./_socket_option.ts";

const ignore = !hasOpenssl();
const test = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: `${name} (needs openssl)`, ignore, fn });

/** A listener on a free port and options to connect to it. */
async function start(
  options: Partial<ListenTlsOptions> = {},
  connectOptions: Partial<ConnectTlsOptions> = {},
) {
  const { server, ca } = await certificates();
  const listener = await listenTls({ ...server, ...options });
  return {
    listener,
    options: {
      hostname: "localhost",
      port: listener.port,
      caCerts: [ca],
      ...connectOptions,
    },
    [Symbol.asyncDispose]: () => listener.close(),
  };
}

async function write(connection: Connection, text: string): Promise<void> {
  const writer = connection.writable.getWriter();
  await writer.write(new TextEncoder().encode(text));
  writer.releaseLock();
}

async function read(connection: Connection): Promise<string> {
  const reader = connection.readable.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return new TextDecoder().decode(value);
}

for (const mutual of [false, true]) {
  conformance({
    name: mutual ? "tls: with client certificates," : "tls:",
    ignore,
    async pair() {
      const { ca, client: own } = await certificates();
      const { listener, options } = await start(
        mutual ? { clientCaCerts: [ca] } : {},
        mutual ? own : {},
      );
      const [client, server] = await Promise.all([
        connectTls(options),
        listener.accept(),
      ]);
      return {
        client,
        server,
        [Symbol.asyncDispose]: () => listener.close(),
      };
    },
  });
}

for (const mutual of [false, true]) {
  const kind = mutual ? "listenTls with clientCaCerts" : "listenTls";
  test(`${kind} tells a connection that was cut off from one that ended`, async () => {
    const { ca, client: own } = await certificates();
    await using server = await start(
      mutual ? { clientCaCerts: [ca] } : {},
      mutual ? own : {},
    );
    // Anyone on the way can end the TCP connection.
    using relay = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    for (const cut of [true, false]) {
      const accepting = relay.accept();
      const connecting = connectTls({
        ...server.options,
        port: relay.addr.port,
      });
      using near = await accepting;
      using far = await Deno.connect({ port: server.listener.port });
      const up = near.readable.pipeTo(far.writable, { preventClose: true })
        .then(() => far.closeWrite());
      const down = far.readable.pipeTo(near.writable);
      const [client, accepted] = await Promise.all([
        connecting,
        server.listener.accept(),
      ]);
      const broken = accepted.closed.catch((error: Error) => error);
      const reader = accepted.readable.getReader();
      await write(client, "half of it");
      assertEquals((await reader.read()).value?.length, 10);
      if (cut) {
        await far.closeWrite();
        const error = await assertRejects(
          () => reader.read(),
          ConnectionClosedError,
          "close_notify",
        );
        assertEquals(error.code, "lost");
        assertEquals(await broken, error);
      } else {
        const closing = client.close();
        assertEquals((await reader.read()).done, true);
        await Promise.all([closing, accepted.close()]);
        assertEquals(await broken, undefined);
      }
      client.abort();
      accepted.abort();
      await client.closed.catch(() => {});
      await Promise.allSettled([up, down]);
    }
  });
}

test("connectTls refuses a certificate that no trusted root has signed", async () => {
  const { otherCa } = await certificates();
  await using server = await start();
  const error = await assertRejects(
    () => connectTls({ ...server.options, caCerts: [otherCa] }),
    Deno.errors.InvalidData,
    `Cannot connect to ${
      server.listener.address.replace("127.0.0.1", "localhost")
    }`,
  );
  assertStringIncludes(error.message, "in caCerts");
  await assertRejects(
    () => listenTls({ cert: "server.pem", key: "server.key" }),
    Deno.errors.InvalidData,
    "pass the text of the PEM file and not its path",
  );
});

test("connectTls says what is wrong with a certificate that openssl makes by default", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const { success } = await new Deno.Command("openssl", {
      // deno-fmt-ignore
      args: ["req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost",
        "-keyout", `${directory}/key.pem`, "-out", `${directory}/cert.pem`],
      stderr: "null",
    }).output();
    assert(success);
    const cert = await Deno.readTextFile(`${directory}/cert.pem`);
    const key = await Deno.readTextFile(`${directory}/key.pem`);
    await using listener = await listenTls({
      cert,
      key,
      onHandshakeError() {},
    });
    const { port } = listener;
    await assertRejects(
      () => connectTls({ hostname: "localhost", port, caCerts: [cert] }),
      Deno.errors.InvalidData,
      "make one for a server, with basicConstraints=CA:FALSE",
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

test("connectTls refuses a certificate for another host", async () => {
  await using server = await start({ hostname: "0.0.0.0" });
  await assertRejects(
    () => connectTls({ ...server.options, hostname: "127.0.0.2" }),
    Deno.errors.InvalidData,
    "Cannot connect to tls:127.0.0.2",
  );
});

test("connectTls ends by timeout and signal where nobody shakes hands", async () => {
  const { ca } = await certificates();
  await using silent = await listenTcp();
  const options = { hostname: "localhost", port: silent.port, caCerts: [ca] };
  const late = await assertRejects(
    () => connectTls({ ...options, timeout: 30 }),
    DOMException,
    "timed out after 30 ms",
  );
  assertEquals(late.name, "TimeoutError");
  const controller = new AbortController();
  const connecting = connectTls({ ...options, signal: controller.signal });
  const server = await silent.accept();
  controller.abort(new Error("not now"));
  await assertRejects(() => connecting, Error, "not now");
  server.abort();
});

test("connectTls says that the other side speaks no TLS", async () => {
  const { ca } = await certificates();
  await using plain = await listenTcp();
  const serving = serveConnections(plain, (c) => write(c, "220 hello\r\n"), {
    onError: () => {},
  });
  const error = await assertRejects(
    () => connectTls({ port: plain.port, caCerts: [ca] }),
    Error,
    `Cannot connect to tls:127.0.0.1:${plain.port}`,
  );
  assertStringIncludes(error.message, "does the peer speak TLS?");
  await plain.close();
  await serving;
});

test("connectTls and listenTls refuse bad arguments", async () => {
  const { server, client } = await certificates();
  await assertRejects(
    () => connectTls({ port: 1, cert: client.cert }),
    TypeError,
    "key is missing",
  );
  await assertRejects(
    () => connectTls({ port: 1, key: client.key }),
    TypeError,
    "cert is missing",
  );
  await assertRejects(
    () => listenTls({ cert: "", key: server.key }),
    TypeError,
    "Invalid cert",
  );
  await assertRejects(
    () => listenTls({ ...server, handshakeTimeout: -1 }),
    RangeError,
    "Invalid handshakeTimeout",
  );
  await assertRejects(
    () => listenTls({ ...server, clientCaCerts: [] }),
    TypeError,
    "Invalid clientCaCerts",
  );
  for (const clientCaCerts of [undefined, [client.cert]]) {
    await assertRejects(
      () => listenTls({ cert: "no PEM", key: "neither", clientCaCerts }),
      Deno.errors.InvalidData,
      "Cannot listen on tls:127.0.0.1:0",
    );
  }
  await assertRejects(
    () => listenTls({ ...server, clientCaCerts: ["no PEM"] }),
    Deno.errors.InvalidData,
    "Cannot listen on tls:127.0.0.1:0",
  );
});

test("listenTls says that the port is taken, with and without client certificates", async () => {
  const { server, ca } = await certificates();
  await using taken = await listenTcp();
  for (const clientCaCerts of [undefined, [ca]]) {
    await assertRejects(
      () => listenTls({ ...server, port: taken.port, clientCaCerts }),
      Deno.errors.AddrInUse,
      `Cannot listen on tls:127.0.0.1:${taken.port}: another process`,
    );
  }
});

test("listenTls with client certificates tells who the client is", async () => {
  const { ca, client } = await certificates();
  await using server = await start(
    { clientCaCerts: [ca], alpnProtocols: ["sluice/1"] },
    { ...client, alpnProtocols: ["other", "sluice/1"] },
  );
  const [connection, accepted] = await Promise.all([
    connectTls(server.options),
    server.listener.accept(),
  ]);
  const { peerCertificate, alpnProtocol } = tlsDetails(accepted);
  assertEquals(peerCertificate?.commonName, "worker-1");
  assertEquals(
    peerCertificate?.subjectAltName?.startsWith("DNS:localhost"),
    true,
  );
  const digest = await crypto.subtle.digest(
    "SHA-256",
    peerCertificate!.raw as BufferSource,
  );
  assertEquals(
    peerCertificate?.fingerprint256,
    new Uint8Array(digest).toHex(),
  );
  assertEquals(alpnProtocol, "sluice/1");
  assertEquals(tlsDetails(connection).alpnProtocol, "sluice/1");
  await write(connection, "hello");
  assertEquals(await read(accepted), "hello");
  await Promise.all([connection.close(), accepted.close()]);
});

test("listenTls with client certificates refuses others before a byte is read", async () => {
  const { ca, client, stranger } = await certificates();
  const failed: unknown[] = [];
  await using server = await start({
    clientCaCerts: [ca],
    onHandshakeError: (error) => {
      failed.push(error);
      throw new Error("a hook that throws ends nothing");
    },
  });
  const accepting = server.listener.accept();
  for (const own of [{}, stranger]) {
    // TLS 1.3: the client is done before the server has judged it.
    await assertRejects(async () => {
      await using connection = await connectTls({ ...server.options, ...own });
      await write(connection, "let me in");
      await read(connection);
      throw new Error("the end came in order");
    });
  }
  assertEquals(
    failed.map((error) => (error as Error).message.replace(/:\d+:/, ":")),
    [
      "Cannot accept a TLS connection of 127.0.0.1: peer sent no certificates",
      "Cannot accept a TLS connection of 127.0.0.1: it hung up, or its " +
      "certificate is not signed by clientCaCerts",
    ],
  );
  await using _client = await connectTls({ ...server.options, ...client });
  await using accepted = await accepting;
  assertEquals(tlsDetails(accepted).peerCertificate?.commonName, "worker-1");
});

for (const mutual of [false, true]) {
  const name = mutual ? " with client certificates" : "";
  test(`listenTls${name} lets clients that never shake hands hold up nobody`, async () => {
    const { ca, client } = await certificates();
    const failed: unknown[] = [];
    await using server = await start({
      handshakeTimeout: 50,
      ...(mutual ? { clientCaCerts: [ca] } : {}),
      onHandshakeError: (error) => failed.push(error),
    });
    const accepting = server.listener.accept();
    // More than are shaken hands with at once.
    const silent = await Promise.all(
      Array.from(
        { length: 80 },
        () => connectTcp({ port: server.listener.port }),
      ),
    );
    await using _client = await connectTls({ ...server.options, ...client });
    await using _accepted = await accepting;
    for (const connection of silent) connection.abort();
    if (!mutual) {
      assert(failed.length >= 16);
      assertEquals((failed[0] as Error).name, "TimeoutError");
    }
  });

  test(`closing a TLS listener${name} frees who still shakes hands`, async () => {
    const { ca } = await certificates();
    const server = await start({
      handshakeTimeout: 60_000,
      ...(mutual ? { clientCaCerts: [ca] } : {}),
    });
    const accepting = server.listener.accept().catch((error) => error);
    await using silent = await connectTcp({ port: server.listener.port });
    await write(silent, "x"); // it was accepted when this has arrived
    await new Promise((resolve) => setTimeout(resolve, 20));
    await server.listener.close();
    assertEquals((await accepting).name, "ConnectionClosedError");
    try {
      for await (const _ of silent.readable); // an alert, then the end
    } catch (error) {
      assertEquals((error as ConnectionClosedError).code, "lost");
    }
  });
}

test("TLS connections send small messages at once", async () => {
  const { client: own, ca } = await certificates();
  for (const clientCaCerts of [undefined, [ca]]) {
    await using server = await start({ clientCaCerts }, own);
    await using client = await connectTls(server.options);
    await using accepted = await server.listener.accept();
    for (const connection of [client, accepted]) {
      assertEquals(socketOption(connection, IPPROTO_TCP, TCP_NODELAY), 1);
    }
  }
});

test("tlsDetails refuses what is no TLS connection", async () => {
  await using listener = await listenTcp();
  await using client = await connectTcp(listener);
  await using _server = await listener.accept();
  await assertRejects(
    // deno-lint-ignore require-await
    async () => tlsDetails(client),
    TypeError,
    "is no TLS connection",
  );
});

Deno.test("connectTls: a peer that closes during the handshake is named, and tried again", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  let accepted = 0;
  const closing = (async () => {
    while (accepted < 3) {
      (await listener.accept()).close();
      accepted++;
    }
  })();
  const error = await assertRejects(() =>
    connectTls({ port, retry: { retries: 2, minDelay: 1 } })
  ) as Error;
  // A reset, where the hello had come before it closed.
  const { UnexpectedEof, ConnectionReset } = Deno.errors;
  assert(error instanceof UnexpectedEof || error instanceof ConnectionReset);
  assert(error.message.startsWith(`Cannot connect to tls:127.0.0.1:${port}: `));
  await closing;
});

Deno.test("connectTls: a peer that was gone before the handshake is named", () => {
  const error = explain(
    new Deno.errors.NotConnected("Transport endpoint is not connected"),
    "Cannot connect to tls:127.0.0.1:9",
  );
  assert(error instanceof Deno.errors.ConnectionReset, String(error));
  assertEquals(
    error.message,
    "Cannot connect to tls:127.0.0.1:9: the peer closed it at once",
  );
});
