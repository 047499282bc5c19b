// Limits, hooks and timers of a session, over memory.

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  type ArgumentsSchema,
  client,
  type Context,
  createSession,
  release,
  retain,
  RpcError,
  serve,
  type Session,
  validated,
  withContext,
} from "../rpc/mod.ts";
import { ConnectionClosedError } from "../duplex.ts";
import {
  channel,
  encodeFrame,
  lengthPrefixed,
  msgpack,
} from "../framing/mod.ts";
import { connected, duplexPair } from "./_rpc.ts";

/** Calls that end when they are told to. */
function gate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  let running = 0;
  let most = 0;
  return {
    open: resolve,
    get most() {
      return most;
    },
    handlers: {
      async hold() {
        most = Math.max(most, ++running);
        await promise;
        running--;
        return running;
      },
      stubborn: () => new Promise<never>(() => {}),
      quick: () => 1,
    },
  };
}

Deno.test("serve makes calls wait above maxConcurrentCalls, then refuses", async () => {
  const { handlers, open, ...rest } = gate();
  await using place = await connected(handlers, {
    server: { maxConcurrentCalls: 2, maxQueuedCalls: 3 },
  });
  const calls = Array.from({ length: 5 }, () => place.api.hold());
  const error = await assertRejects(() => place.api.hold(), RpcError);
  assertEquals(error.code, "overloaded");
  assertStringIncludes(error.message, "maxQueuedCalls 3");
  open();
  await Promise.all(calls);
  assert(rest.most <= 2);
  assertEquals(await place.api.quick(), 1);
});

Deno.test("serve runs a call that waited only if it was not cancelled", async () => {
  const { handlers, open } = gate();
  let ran = 0;
  await using place = await connected(
    { ...handlers, count: () => ++ran },
    { server: { maxConcurrentCalls: 1 } },
  );
  const held = place.api.hold();
  const stop = new AbortController();
  const waiting = place.api.$with({ signal: stop.signal }).count();
  stop.abort(new Error("No longer"));
  await assertRejects(() => waiting, Error, "No longer");
  const other = place.api.count();
  open();
  await held;
  assertEquals(await other, 1);
});

Deno.test("serve counts a cancelled handler until it settles", async () => {
  await using place = await connected(gate().handlers, {
    server: { maxConcurrentCalls: 2, maxQueuedCalls: 0 },
  });
  for (let attempt = 0; attempt < 2; attempt++) {
    await assertRejects(
      () => place.api.$with({ timeout: 5 }).stubborn(),
      DOMException,
    );
  }
  const error = await assertRejects(() => place.api.quick(), RpcError);
  assertEquals(error.code, "overloaded");
  const other = await place.connect();
  assertEquals(await other.quick(), 1);
});

Deno.test("client refuses more than maxPendingCalls", async () => {
  const { handlers, open } = gate();
  await using place = await connected(handlers, {
    client: { maxPendingCalls: 1 },
  });
  const held = place.api.hold();
  const error = await assertRejects(() => place.api.quick(), RpcError);
  assertEquals(error.code, "overloaded");
  open();
  await held;
});

Deno.test("maxStreams is kept on either side, and the connection goes on", async () => {
  const handlers = {
    async *forever() {
      for (let n = 0;; n++) yield n;
    },
    async size(items: AsyncIterable<number>) {
      return (await Array.fromAsync(items)).length;
    },
    two: (a: AsyncIterable<number>, b: AsyncIterable<number>) => a === b,
  };
  await using place = await connected(handlers, { server: { maxStreams: 1 } });
  const first = await place.api.forever();
  const error = await assertRejects(() => place.api.forever(), RpcError);
  assertEquals(error.code, "overloaded");
  await first.return();
  const items = () => ReadableStream.from([1, 2]);
  const refused = await assertRejects(
    () => place.api.two(items(), items()),
    RpcError,
  );
  assertEquals(refused.code, "overloaded");
  assertEquals(await place.api.size(items()), 2);

  const careful = await place.connect({ maxStreams: 0 });
  const own = await assertRejects(() => careful.forever(), RpcError);
  assertEquals(own.code, "overloaded");
});

Deno.test("maxCallbacks is kept on either side, and release makes room", async () => {
  const kept: (() => Promise<number>)[] = [];
  const handlers = {
    keep(callback: () => Promise<number>) {
      kept.push(retain(callback));
    },
    call: () => kept[0](),
    free() {
      for (const callback of kept.splice(0)) release(callback);
    },
  };
  await using place = await connected(handlers, {
    server: { maxCallbacks: 1 },
    client: { maxCallbacks: 2 },
  });
  await place.api.keep(() => 1);
  const error = await assertRejects(() => place.api.keep(() => 2), RpcError);
  assertEquals(error.code, "overloaded");
  assertEquals(await place.api.call(), 1);
  const held = kept[0];
  await place.api.free();
  await assertRejects(() => held(), RpcError, "released");
  await place.api.keep(() => 3);
  assertEquals(await place.api.call(), 3);
  assertEquals(place.api.$session.liveCallbacks, 1);
});

Deno.test("maxMessageLength and maxDepth refuse here what the peer would not take", async () => {
  const handlers = { size: (value: unknown) => JSON.stringify(value).length };
  await using place = await connected(handlers, {
    client: { maxMessageLength: 1000 },
    server: { onError() {} },
  });
  await assertRejects(() => place.api.size("x".repeat(2000)), Error, "2");
  assertEquals(await place.api.size("x"), 3);
  let deep: unknown = 1;
  for (let level = 0; level < 90; level++) deep = [deep];
  const error = await assertRejects(() => place.api.size(deep));
  assert(error instanceof Error);
});

Deno.test("options out of bounds are refused with their name", () => {
  const [near] = duplexPair();
  const attempt = (options: object) => () => createSession(near, options);
  assertThrows(
    attempt({ maxConcurrentCalls: 0 }),
    RangeError,
    "maxConcurrentCalls",
  );
  assertThrows(attempt({ maxDepth: 1.5 }), RangeError, "maxDepth");
  assertThrows(attempt({ timeout: -1 }), RangeError, "timeout");
  assertThrows(
    attempt({ heartbeatInterval: "1" }),
    TypeError,
    "heartbeatInterval",
  );
});

Deno.test("middleware runs in order on both sides and sees metadata", async () => {
  const seen: string[] = [];
  const handlers = {
    whoami(this: Context) {
      return this.metadata.user;
    },
  };
  await using place = await connected(handlers, {
    server: {
      middleware: [
        async ({ method, context }, next) => {
          seen.push(`in ${method} ${context.metadata.traceparent}`);
          const result = await next();
          seen.push(`out ${result}`);
          return result;
        },
        ({ context }, next) => {
          if (context.metadata.token !== "secret") {
            throw new RpcError("No token", { data: "auth" });
          }
          return next();
        },
      ],
    },
    client: {
      callMiddleware: [
        (call, next) => {
          call.metadata = { ...call.metadata, traceparent: "00-1" };
          return next();
        },
      ],
    },
  });
  const error = await assertRejects(() => place.api.whoami(), RpcError);
  assertEquals(error.data, "auth");
  const api = place.api.$with({ metadata: { token: "secret", user: "ada" } });
  assertEquals(await api.whoami(), "ada");
  assertEquals(seen, ["in whoami 00-1", "in whoami 00-1", "out ada"]);
});

Deno.test("validated answers invalid-params with the issues, before the handler", async () => {
  const schema: ArgumentsSchema<[n: number]> = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) =>
        Array.isArray(value) && value.length === 1 &&
          typeof value[0] === "number"
          ? { value: [value[0]] }
          : { issues: [{ message: "Expected a number", path: [0] }] },
    },
  };
  let ran = 0;
  const handlers = {
    double: validated(schema, function (n) {
      ran++;
      return 2 * n;
    }),
  };
  await using place = await connected(handlers);
  assertEquals(await place.api.double(4), 8);
  const error = await assertRejects(
    () => place.api.$session.call("double", { params: ["4"] }),
    RpcError,
  );
  assertEquals(error.code, "invalid-params");
  assertEquals(error.data, [{ message: "Expected a number", path: ["0"] }]);
  assertEquals(ran, 1);
});

Deno.test("withContext gives arrow functions their context", async () => {
  const handlers = {
    name: withContext((context, text: string) => `${context.method} ${text}`),
  };
  await using place = await connected(handlers);
  assertEquals(await place.api.name("x"), "name x");
});

Deno.test("stacks stay at home unless they are exposed", async () => {
  const handlers = {
    fail() {
      throw new Error("Here");
    },
  };
  await using quiet = await connected(handlers);
  const plain = await assertRejects(() => quiet.api.fail(), RpcError);
  assertEquals(plain.remote, { name: "Error" });
  await using open = await connected(handlers, {
    server: { exposeStacks: true },
  });
  const traced = await assertRejects(() => open.api.fail(), RpcError);
  assertStringIncludes(traced.remote?.stack ?? "", "rpc_session_test.ts");
});

Deno.test("redactError decides what a caller learns, also when it throws", async () => {
  const failures: unknown[] = [];
  const handlers = {
    fail(text: string) {
      throw new Error(`password is ${text}`);
    },
  };
  await using place = await connected(handlers, {
    server: {
      redactError(error, context) {
        if ((error as Error).message.endsWith("worse")) throw new Error("Bug");
        return new RpcError(`${context?.method} failed`, { code: "internal" });
      },
      onError: (error) => failures.push(error),
    },
  });
  const error = await assertRejects(() => place.api.fail("x"), RpcError);
  assertEquals(error.message, "fail failed");
  assertEquals(error.code, "internal");
  const worse = await assertRejects(() => place.api.fail("worse"), RpcError);
  assertEquals(worse.message, "The error was withheld");
  assertEquals(failures.length, 1);
});

Deno.test("redactError sees what a stream throws too", async () => {
  const handlers = {
    async *fail() {
      yield 1;
      throw new Error("password is x");
    },
  };
  await using place = await connected(handlers, {
    server: { redactError: () => new RpcError("Failed") },
  });
  const stream = await place.api.fail();
  await stream.next();
  await assertRejects(() => stream.next(), RpcError, "Failed");
});

Deno.test("a heartbeat ends a connection whose peer is silent", async () => {
  const [near, far] = duplexPair();
  const errors: unknown[] = [];
  const api = client<{ hello(): void }>(near, {
    heartbeatInterval: 5,
    heartbeatTimeout: 10,
    onError: (error) => errors.push(error),
  });
  const error = await assertRejects(() => api.hello(), DOMException);
  assertEquals(error.name, "TimeoutError");
  await assertRejects(() => api.$session.closed, DOMException);
  assertEquals(errors.length, 1);
  far.abort();
});

Deno.test("a heartbeat lets a peer live that answers", async () => {
  const { handlers, open } = gate();
  await using place = await connected(handlers, {
    client: { heartbeatInterval: 2, heartbeatTimeout: 5_000 },
  });
  const held = place.api.hold();
  for (let n = 0; n < 3; n++) await place.api.$session.ping();
  open();
  assertEquals(await held, 0);
});

Deno.test("idleTimeout closes what nobody uses", async () => {
  await using place = await connected({ one: () => 1 }, {
    client: { idleTimeout: 5 },
  });
  assertEquals(await place.api.one(), 1);
  await place.api.$session.closed;
});

Deno.test("stallTimeout ends a connection whose peer takes nothing", async () => {
  const [near, far] = duplexPair();
  const api = client<{ put(bytes: Uint8Array): void }>(near, {
    stallTimeout: 20,
    highWaterMark: 1024,
    onError() {},
  });
  const calls = Array.from(
    { length: 10 },
    () => api.put(new Uint8Array(64 * 1024)),
  );
  for (const call of calls) await assertRejects(() => call, DOMException);
  far.abort();
});

Deno.test("a notification's error goes to onError, with its session", async () => {
  const { promise, resolve } = Promise.withResolvers<[unknown, unknown]>();
  await using place = await connected({
    fail() {
      throw new Error("Unheard");
    },
  }, {
    server: { onError: (error, session) => resolve([error, session]) },
  });
  await place.api.$notify.fail();
  const [error, session] = await promise;
  assertEquals((error as Error).message, "Unheard");
  assert(place.server.sessions.has(session as Session));
});

Deno.test("describe can be kept from peers", async () => {
  await using place = await connected({ one: () => 1 }, {
    server: { describe: false },
  });
  const error = await assertRejects(
    () => place.api.$session.describe(),
    RpcError,
  );
  assertEquals(error.code, "method-not-found");
});

Deno.test("client is no promise, and neither are its namespaces", async () => {
  await using place = await connected({ fs: { read: () => "x" } });
  const api = await place.api;
  const fs = await api.fs;
  assertEquals(await fs.read(), "x");
  assertEquals((api as { then?: unknown }).then, undefined);
});

Deno.test("a method may have the name of what every function has", async () => {
  const names = [
    "name",
    "length",
    "call",
    "apply",
    "bind",
    "toString",
  ] as const;
  const methods = Object.fromEntries(names.map((name) => [name, () => name]));
  await using place = await connected({ ...methods, inner: methods });
  const api = place.api as unknown as
    & Record<string, () => Promise<string>>
    & { inner: Record<string, () => Promise<string>> };
  const limited = place.api.$with({ timeout: 10_000 }) as unknown as typeof api;
  for (const each of [api, limited]) {
    for (const name of names) {
      for (let use = 0; use < 2; use++) { // the second finds what the first made
        assertEquals(await each[name](), name);
        assertEquals(await each.inner[name](), name);
      }
      assert(each.inner[name] === each.inner[name]);
    }
  }
  assertEquals(Object.keys(api), []);
  assertThrows(() => api.name = () => Promise.resolve("mine"), TypeError);
  assertThrows(() => api.inner.other = api.name, TypeError);
});

Deno.test("the first answers of a full turn leave before it is over", async () => {
  const format = lengthPrefixed();
  const requests = Array.from(
    { length: 40 },
    (_, id) => encodeFrame(format, msgpack.encode([0, id, "number", []])),
  );
  const written: number[] = [];
  const decoder = format.createDecoder();
  const done = Promise.withResolvers<void>();
  await using _server = serve({
    readable: ReadableStream.from([
      requests.reduce((all, frame) => new Uint8Array([...all, ...frame])),
    ]),
    writable: new WritableStream<Uint8Array>({
      write(chunk) {
        let answers = 0;
        decoder.push(chunk, (frame) => {
          const [type, id, error, result] = msgpack.decode(frame) as unknown[];
          assertEquals([type, error, result], [1, null, id]);
          answers++;
        });
        written.push(answers);
        if (written.length === 2) done.resolve();
      },
    }),
  }, {
    number: (() => {
      let next = 0;
      return () => next++;
    })(),
  });
  await done.promise;
  assertEquals(written, [16, 24]);
});

Deno.test("a drain serves what comes before the peer knows of it, and no more", async () => {
  const [near, far] = duplexPair();
  const { handlers, open } = gate();
  const server = serve(far, handlers);
  await using peer = channel<unknown[], unknown>(near);
  await peer.send([0, 1, "hold", []]);
  await peer.send([0, 2, "quick", []]);
  assertEquals(await peer.receive(), [1, 2, null, 1]);
  const drained = server.drain();
  assertEquals(await peer.receive(), [2, "$drain", []]);
  const [, id, method] = await peer.receive();
  assertEquals(method, "$ping");
  await peer.send([0, 3, "quick", []]);
  assertEquals(await peer.receive(), [1, 3, null, 1]);
  await peer.send([1, id, null, null]);
  let refused: unknown = null;
  for (let id = 4; refused === null; id++) {
    await peer.send([0, id, "quick", []]);
    [, , refused] = await peer.receive();
  }
  assertEquals((refused as { code: string }).code, "unavailable");
  open();
  assertEquals(await peer.receive(), [1, 1, null, 0]);
  await drained;
  await assertRejects(() => peer.receive(), ConnectionClosedError);
});

Deno.test("a drain waits for no peer that says nothing, and asks none that can't call", async () => {
  for (const handlers of [{ quick: () => 1 }, {}]) {
    const [near, far] = duplexPair();
    const session = createSession(far, { handlers });
    await using peer = channel<unknown[], unknown>(near);
    const drained = session.drain();
    assertEquals(await peer.receive(), [2, "$drain", []]);
    if ("quick" in handlers) {
      assertEquals((await peer.receive())[2], "$ping");
    }
    await drained; // after a second, or at once
    const rest = await Array.fromAsync(peer);
    assertEquals(rest.map((message) => message[1]), [
      ...("quick" in handlers ? ["$cancel"] : []),
    ]);
  }
});

Deno.test("a drain that takes too long rejects, and closes all the same", async () => {
  const { handlers } = gate();
  await using place = await connected(handlers);
  const held = place.api.hold();
  await place.api.quick();
  const [session] = place.server.sessions;
  await assertRejects(() => session.drain({ timeout: 5 }), DOMException);
  await assertRejects(() => held, Error);
  assertEquals(place.server.sessions.size, 0);
});

Deno.test("serve closes connections above maxConnections", async () => {
  const errors: unknown[] = [];
  await using place = await connected({ one: () => 1 }, {
    server: { maxConnections: 1, onError: (error) => errors.push(error) },
  });
  assertEquals(await place.api.one(), 1);
  const other = await place.connect({ onError() {} });
  await assertRejects(() => other.one(), Error);
  assertEquals(errors.length, 1);
});

Deno.test("serve ends with its signal", async () => {
  const [near, far] = duplexPair();
  const stop = new AbortController();
  const server = serve(far, { one: () => 1 }, { signal: stop.signal });
  await using api = client<{ one(): number }>(near);
  assertEquals(await api.one(), 1);
  stop.abort();
  await server.closed;
  await assertRejects(() => api.one(), Error);
});

Deno.test("a result or an argument without a form fails its call alone", async () => {
  await using place = await connected({
    symbol: () => ({ s: Symbol("x") }),
    echo: (value: unknown) => value,
    one: () => 1,
  });
  const error = await assertRejects(() => place.api.symbol(), RpcError);
  assertEquals(error.code, "internal");
  await assertRejects(() => place.api.echo([Symbol("y")]), Error);
  assertEquals(await place.api.one(), 1);
  assertEquals(place.api.$session.pendingCalls, 0);
});
