// What a slip of a new user says: each error names the argument and what it got.

import {
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  channel,
  choose,
  client,
  connect,
  ConnectionClosedError,
  createPool,
  creditChannel,
  FrameDecoderStream,
  FrameEncoderStream,
  jsonRpc,
  lengthPrefixed,
  lines,
  listen,
  meter,
  pipeline,
  reconnectingChannel,
  reliableChannel,
  reliableConnection,
  reliableConnections,
  reliableListener,
  serve,
  serveConnections,
  spawn,
  tap,
  validated,
  withContext,
} from "../mod.ts";
import { duplexPair } from "./_framing.ts";
import { noShm } from "./_shm.ts";
import { temporaryDirectory } from "./_tools.ts";

const streams = () => new TransformStream<Uint8Array, Uint8Array>();
// deno-lint-ignore no-explicit-any -- what JavaScript lets through
const wrong = (value: unknown) => value as any;

const noDuplex = wrong(Promise.resolve(streams())); // a forgotten `await`
const expected = "Invalid duplex: expected readable and writable streams, " +
  "received a promise: await it first";

for (
  const [name, call] of Object.entries({
    channel: () => channel(noDuplex),
    creditChannel: () => creditChannel(noDuplex),
    client: () => client(noDuplex),
    serve: () => serve(noDuplex, {}),
    tap: () => tap(noDuplex, () => {}),
    meter: () => meter(noDuplex),
  })
) {
  Deno.test(`${name} says that what it was given is no duplex`, () => {
    assertThrows(call, TypeError, expected);
  });
}

Deno.test("two users of one connection are told apart", () => {
  const duplex = streams();
  channel(duplex);
  for (const call of [() => channel(duplex), () => client(duplex)]) {
    assertThrows(
      call,
      TypeError,
      "Invalid duplex: its readable is locked, something else uses it already",
    );
  }
});

const noListener = wrong(Promise.resolve());
for (
  const [name, call] of Object.entries({
    reliableListener: () => reliableListener(noListener),
    reliableConnections: () => reliableConnections(noListener),
  })
) {
  Deno.test(`${name} says that what it was given is no listener`, () => {
    assertThrows(
      call,
      TypeError,
      "Invalid listener: expected one with accept, received a promise: await it first",
    );
  });
}

const address = wrong("unix:/run/a.sock"); // in place of a way to connect
for (
  const [name, call] of Object.entries({
    reliableChannel: () => reliableChannel(address),
    reliableConnection: () => reliableConnection(address),
    reconnectingChannel: () => reconnectingChannel(address),
    createPool: () => createPool(address),
  })
) {
  Deno.test(`${name} says that it takes a function that connects`, () => {
    assertThrows(
      call,
      TypeError,
      'Invalid connect: expected a function, received "unix:/run/a.sock"',
    );
  });
}

Deno.test("serveConnections ends at once without a listener or a handler", async () => {
  await assertRejects(
    () => serveConnections(noListener, () => {}),
    TypeError,
    "Invalid listener",
  );
  await using listener = await listen("tcp:127.0.0.1:0");
  await assertRejects(
    () => serveConnections(listener, wrong(undefined)),
    TypeError,
    "Invalid handler: expected a function, received undefined",
  );
});

Deno.test("tap says that it takes a sink or a function", () => {
  assertThrows(
    () => tap(streams(), wrong("log.txt")),
    TypeError,
    'Invalid sink: expected a function, received "log.txt"',
  );
});

Deno.test("serve says that there are no handlers, or which is none", () => {
  assertThrows(
    () => serve(streams(), wrong(undefined)),
    TypeError,
    "Invalid handlers: expected an object of functions, received undefined",
  );
  assertThrows(
    () => serve(streams(), wrong({ fs: { read: 5 } })),
    TypeError,
    "Invalid handlers: expected fs.read to be a function or an object of " +
      "functions, received 5",
  );
});

Deno.test("formats and codecs are objects, not names or functions", () => {
  const options = [{ format: "lines" }, { format: lines }];
  const errors = options.map((option) =>
    assertThrows(() => channel(streams(), wrong(option)), TypeError).message
  );
  assertEquals(errors, [
    'Invalid format: expected a frame format such as lines(), received "lines"',
    "Invalid format: expected a frame format such as lines(), received " +
    "function lines",
  ]);
  for (const Stream of [FrameDecoderStream, FrameEncoderStream]) {
    assertThrows(() => new Stream(wrong(lines)), TypeError, "Invalid format");
  }
  assertThrows(
    () => channel(streams(), { codec: wrong("json") }),
    TypeError,
    'Invalid codec: expected a codec such as json, received "json"',
  );
});

Deno.test("connect says what retry takes", async () => {
  const error = await connect("tcp:127.0.0.1:1", { retry: wrong(5) })
    .catch((error) => error);
  assertEquals(
    String(error),
    "TypeError: Invalid retry: expected a boolean or an object, received 5",
  );
});

Deno.test("a signal that is none is refused by name", async () => {
  for (const signal of [{}, new AbortController(), "soon"]) {
    await assertRejects(
      () => connect("tcp:127.0.0.1:1", { signal: wrong(signal) }),
      TypeError,
      "Invalid signal: expected an AbortSignal, received",
    );
  }
  await assertRejects(
    () => connect("tcp:127.0.0.1:1", { timeout: wrong("5") }),
    TypeError,
    'Invalid timeout: expected milliseconds, received "5"',
  );
});

Deno.test("retry goes on until the timeout, which says why the last try failed", async () => {
  const error = await connect("tcp:127.0.0.1:1", {
    timeout: 200,
    retry: { maxDelay: 1 },
  }).catch((error) => error);
  assertEquals(
    String(error),
    "TimeoutError: Cannot connect to tcp:127.0.0.1:1: timed out after 200 ms, " +
      "the last try: nothing listens there",
  );
  assertEquals(error.cause instanceof Deno.errors.ConnectionRefused, true);
});

Deno.test("serve refuses an instance whose methods could not be called", () => {
  class Calculator {
    add(a: number, b: number) {
      return a + b;
    }
  }
  assertThrows(
    () => serve(streams(), new Calculator()),
    TypeError,
    "Invalid handlers: an instance of class Calculator has no functions of " +
      "its own, and nothing inherited can be called: pass an object of functions",
  );
});

Deno.test("protocols are objects, and hooks functions", () => {
  assertThrows(
    () => client(streams(), { protocol: wrong("json") }),
    TypeError,
    'Invalid protocol: expected one such as jsonRpc(), received "json"',
  );
  for (const name of ["onError", "redactError", "credentials"]) {
    assertThrows(
      () => client(streams(), wrong({ [name]: 5 })),
      TypeError,
      `Invalid ${name}: expected a function, received 5`,
    );
  }
  assertThrows(
    () => channel(streams(), { validate: wrong(5) }),
    TypeError,
    "Invalid validate option: expected { in, out }, received 5",
  );
});

Deno.test("a peer that sends no frames is quoted", async () => {
  const decoder = new FrameDecoderStream(lengthPrefixed());
  const writer = decoder.writable.getWriter();
  const reading = decoder.readable.getReader().read();
  writer.write(new TextEncoder().encode("GET / HTTP/1.1")).catch(() => {});
  writer.closed.catch(() => {});
  await assertRejects(
    () => reading,
    Error,
    "Cannot decode frame: length 1195725856 exceeds maxFrameLength 16777216, " +
      'its bytes are the text "GET ": does the peer send frames at all?',
  );
});

Deno.test("a call says what a peer wrote that is no message", async () => {
  const [near, far] = duplexPair();
  const api = client<{ square(n: number): number }>(near, {
    protocol: jsonRpc({ frame: "lines" }),
    onError() {},
  });
  const call = api.square(2);
  const writer = far.writable.getWriter();
  await writer.write(new TextEncoder().encode("worker started\n"));
  const error = await assertRejects(() => call, ConnectionClosedError);
  assertEquals(error.code, "lost");
  assertStringIncludes(
    error.message,
    "Cannot call: the connection broke (Cannot decode message: ",
  );
  assertStringIncludes(error.message, '"worker started"');
  await far.readable.cancel();
  writer.releaseLock();
});

Deno.test("errors show the keys of an object, and no value of it", () => {
  class Job {}
  for (
    const [value, shown] of [
      [{ user: "ada", password: "secret" }, "an object with user, password"],
      [{ "a\nb": 1 }, 'an object with "a\\nb"'],
      [
        Object.fromEntries([..."abcdef"].entries().map(([n, c]) => [c, n])),
        "an object with a, b, c, d, e, …",
      ],
      [new Job(), "an instance of Job"],
      [new Map(), "[object Map]"],
    ]
  ) {
    assertThrows(
      () => validated(wrong(value), () => {}),
      TypeError,
      `Invalid schema: expected a Standard Schema, received ${shown}`,
    );
  }
});

Deno.test("a client can be logged, and its methods shown in a text", async () => {
  await using listener = await listen("tcp:127.0.0.1:0");
  await using api = await client<{ fs: { read(): void } }>(listener.address);
  assertEquals(Deno.inspect(api), `Client of ${listener.address}`);
  assertEquals(`${api}`, `Client of ${listener.address}`);
  assertEquals(`${api.fs.read}`, "fs.read");
  assertEquals(JSON.stringify({ api, read: api.fs.read }), '{"api":{}}');
  (await listener.accept()).abort();
});

Deno.test({
  name: "what a lost connection says names the listener and the cause",
  ignore: Deno.build.os !== "linux", // that over unread bytes it is a reset
  async fn() {
    await using directory = await temporaryDirectory();
    const address = `unix:${directory.path}/a.sock`;
    await using listener = await listen(address);
    const connection = await connect(address);
    const accepted = await listener.accept();
    await accepted.writable.getWriter().write(new Uint8Array(10));
    connection.abort();
    const error = await accepted.readable.getReader().read()
      .catch((error) => error);
    assertEquals(
      String(error),
      `ConnectionClosedError: Cannot read from a client of ${address}: the ` +
        "connection was lost (Connection reset by peer (os error 104))",
    );
  },
});

Deno.test("spawn and pipeline say how a command line is written", () => {
  assertThrows(
    () => spawn(wrong("ls -l")),
    TypeError,
    'Invalid command: expected an array of strings, received "ls -l", ' +
      'write ["ls", "-l"]',
  );
  assertThrows(
    () => pipeline(wrong("ls -l")),
    TypeError,
    'received "ls -l", write ["ls", "-l"]',
  );
});

Deno.test("client and serve say where an option of the transport goes", async () => {
  await assertRejects(
    () => client("tcp:127.0.0.1:1", wrong({ retry: true })),
    TypeError,
    "Invalid options: retry goes into connect: { retry: ... }",
  );
  await assertRejects(
    () => serve("tls:127.0.0.1:0", {}, wrong({ tls: {} })),
    TypeError,
    "Invalid options: tls goes into listen: { tls: ... }",
  );
  await assertRejects(
    () => serve("unix:/tmp/x", {}, wrong({ allow: "same-user" })),
    TypeError,
    "Invalid options: allow goes into listen: { allow: ... }",
  );
});

Deno.test({
  name: "shm: at one side and unix: at the other says so",
  ignore: noShm,
  async fn() {
    await using directory = await temporaryDirectory();
    const unix = `unix:${directory.path}/unix`;
    const shm = `shm:${directory.path}/shm`;
    await using _unix = await serve(unix, {});
    await using _shm = await serve(shm, {}, { onError() {} });
    await assertRejects(
      () => connect(unix.replace("unix:", "shm:"), { timeout: 50 }),
      DOMException,
      "timed out after 50 ms, no memory came: does the server listen on shm: " +
        "or on unix:?",
    );
    const wrong = channel(await connect(shm.replace("shm:", "unix:")));
    await assertRejects(
      () => wrong.receive({ timeout: 5_000 }),
      Error,
      "the peer listens on shm:, connect to that",
    );
    wrong.abort();
  },
});

Deno.test("a channel that stops trying says why the last try failed", async () => {
  const options = { reconnect: { retries: 1, minDelay: 1 } };
  const refused = () => connect("tcp:127.0.0.1:1");
  const slip = () => {
    throw new TypeError("no such variable");
  };
  await using jobs = reliableChannel<unknown, number>(refused, options);
  await assertRejects(
    () => jobs.send(1),
    Error,
    "no more tries: Cannot connect to tcp:127.0.0.1:1: nothing listens there",
  );
  await using news = reconnectingChannel<unknown, number>(slip, options);
  await assertRejects(
    () => news.receive(),
    Error,
    "no more tries: no such variable",
  );
});

Deno.test("schemas, handlers, figures and variables are checked at once", () => {
  assertThrows(
    () => validated(wrong({}), () => {}),
    TypeError,
    "Invalid schema: expected a Standard Schema, received {}",
  );
  assertThrows(
    () => withContext(wrong(5)),
    TypeError,
    "Invalid handler: expected a function, received 5",
  );
  assertThrows(
    () => choose({ measured: wrong({}) }),
    TypeError,
    "Invalid measured: expected what measure() gave, received {}",
  );
  assertThrows(
    () => spawn(["true"], { env: { LEVEL: wrong(1) } }),
    TypeError,
    "Invalid env: expected LEVEL to be a string, received 1",
  );
});
