// Races and odd ends: what happens between two events that belong together.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
} from "@std/assert";
import { ConnectionClosedError } from "../duplex.ts";
import { channel } from "../framing/mod.ts";
import {
  client,
  type Context,
  jsonRpc,
  retain,
  RpcError,
  serve,
} from "../rpc/mod.ts";
import { connectUnix, listenUnix } from "../socket/mod.ts";
import { connected, duplexPair } from "./_rpc.ts";
import { temporaryDirectory } from "./_tools.ts";

Deno.test("a handler that returns a locked stream fails its call alone", async () => {
  const locked = () => {
    const stream = ReadableStream.from([1]);
    stream.getReader();
    return stream;
  };
  await using place = await connected({
    locked,
    later: async () => await Promise.resolve(locked()),
    one: () => 1,
  });
  const { api } = place;
  await assertRejects(async () => await api.locked(), RpcError, "locked");
  await assertRejects(async () => await api.later(), RpcError, "locked");
  assertEquals(await api.one(), 1);
  assertEquals(place.server.sessions.size, 1);
});

Deno.test("leaving a ReadableStream cancels its source while a read waits", async () => {
  const cancelled = Promise.withResolvers<unknown>();
  await using place = await connected({
    quiet: () =>
      new ReadableStream<number>({
        start: (controller) => controller.enqueue(1),
        cancel: (reason) => cancelled.resolve(reason),
      }),
  });
  for await (const n of place.api.quiet()) {
    assertEquals(n, 1);
    break;
  }
  await cancelled.promise;
});

Deno.test("an abort tells a stream's reader, also when the source has ended", async () => {
  await using place = await connected({
    async *three() {
      yield* [1, 2, 3];
    },
  });
  const stop = new AbortController();
  const stream = await place.api.$with({ signal: stop.signal }).three();
  assertEquals((await stream.next()).value, 1);
  while (place.api.$session.openStreams > 0) await place.api.$session.ping();
  stop.abort(new Error("Enough"));
  await assertRejects(() => stream.next(), Error, "Enough");
  assertEquals(await stream.next(), { done: true, value: undefined });
});

Deno.test("a drain lets running calls use their callbacks, on either side", async () => {
  for (const side of ["client", "server"] as const) {
    const started = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    await using place = await connected({
      async each(callback: (n: number) => Promise<number>) {
        started.resolve();
        await go.promise;
        return await callback(20);
      },
    });
    const call = place.api.each((n) => n + 1);
    await started.promise;
    const [session] = place.server.sessions;
    const drained = side === "client"
      ? place.api.$session.drain({ timeout: 10_000 })
      : session.drain({ timeout: 10_000 });
    go.resolve();
    assertEquals(await call, 21, side);
    await drained;
  }
});

Deno.test("a queued call's clock stops with its connection", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  await using place = await connected(
    { hold: () => promise },
    { server: { maxConcurrentCalls: 1 } },
  );
  const { api } = place;
  const calls = [api.hold(), api.$with({ timeout: 3_600_000 }).hold()];
  await api.$session.ping();
  api.$session.abort();
  await Promise.allSettled(calls);
  resolve(); // the sanitizer finds a timer that is left
});

Deno.test("a sign of life waits for no handler", async () => {
  await using place = await connected(
    { never: () => new Promise<never>(() => {}) },
    { server: { maxConcurrentCalls: 1, maxQueuedCalls: 5 } },
  );
  const call = place.api.never();
  call.catch(() => {});
  assert(await place.api.$session.ping({ timeout: 10_000 }) >= 0);
  assertEquals(
    (await place.api.$session.describe({ timeout: 10_000 })).length,
    1,
  );
});

Deno.test("middleware runs around every listed handler, whatever its name", async () => {
  const seen: string[] = [];
  await using place = await connected({
    "$/progress": () => 1,
    plain: () => 2,
  }, {
    server: {
      middleware: [(call, next) => {
        seen.push(call.method);
        return next();
      }],
    },
  });
  await place.api.$session.call("$/progress");
  await place.api.plain();
  assertEquals(seen, ["$/progress", "plain"]);
});

Deno.test("callbacks that are settled after the end leave no count behind", async () => {
  const go = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  await using place = await connected({
    async hold(_callback: () => Promise<void>) {
      started.resolve();
      await go.promise;
    },
  });
  const call = place.api.hold(() => {});
  await started.promise;
  const [held] = place.server.sessions;
  place.api.$session.abort();
  await assertRejects(() => call, ConnectionClosedError);
  await held.closed.catch(() => {});
  go.resolve();
  await go.promise;
  await Promise.resolve();
  assertEquals(held.liveCallbacks, 0);
});

Deno.test("a flood of calls both ways at once is answered, without a stall", async () => {
  const handlers = { echo: (bytes: Uint8Array) => bytes };
  const [near, far] = duplexPair();
  await using left = client<typeof handlers>(near, { handlers });
  const server = serve(far, handlers);
  const [session] = server.sessions;
  const right = session.client<typeof handlers>();
  const bytes = new Uint8Array(16 * 1024);
  const calls = [left, right].flatMap((api) =>
    Array.from({ length: 1_500 }, () => api.echo(bytes))
  );
  await Promise.all(calls);
  await server.close();
});

Deno.test("a flood from a client that serves too is answered", async () => {
  const handlers = { echo: (bytes: Uint8Array) => bytes };
  await using place = await connected(handlers, { client: { handlers } });
  const bytes = new Uint8Array(16 * 1024);
  await Promise.all(
    Array.from({ length: 1_500 }, () => place.api.echo(bytes)),
  );
});

Deno.test("metadata that can't be sent fails its call, also when it has to wait", async () => {
  const seen: unknown[] = [];
  await using place = await connected({
    note(this: Context, bytes: Uint8Array) {
      seen.push([this.metadata, bytes?.length]);
    },
  }, { client: { highWaterMark: 1024 } });
  const { api } = place;
  const bytes = new Uint8Array(64 * 1024);
  const bad = { metadata: { token: Symbol("x") } };
  const calls = [
    api.note(bytes),
    api.note(bytes),
    api.$with(bad).note(bytes),
    api.note(bytes),
  ];
  const results = await Promise.allSettled(calls);
  assertEquals(results.map(({ status }) => status), [
    "fulfilled",
    "fulfilled",
    "rejected",
    "fulfilled",
  ]);
  await assertRejects(() => api.$with(bad).note(bytes));
  assertEquals(seen.length, 3);
});

Deno.test("undefined at the end of the arguments leaves defaults in place", async () => {
  const handlers = {
    scale: (n: number, by: number = 10, plus: number = 1) => n * by + plus,
    count: (...all: unknown[]) => all.length,
    maybe: (n: number) => n > 0 ? n : undefined,
  };
  await using place = await connected(handlers);
  const { api } = place;
  assertEquals(await api.scale(2, undefined, undefined), 21);
  assertEquals(await api.scale(2, undefined), 21);
  assertEquals(await api.count(undefined, 1, undefined), 2);
  const nothing: number | null = await api.maybe(0);
  assertEquals(nothing, null);
});

Deno.test("a notification that has no form rejects", async () => {
  await using place = await connected({ note: (_value: unknown) => {} });
  await assertRejects(() => place.api.$notify.note(Symbol("x")));
});

Deno.test("an item that has no form ends the stream, and its source's finally runs", async () => {
  const closed = Promise.withResolvers<void>();
  const circle: unknown[] = [];
  circle.push(circle);
  for (const item of [Symbol("x"), circle]) {
    await using place = await connected({
      async *items() {
        try {
          for (;;) yield item;
        } finally {
          closed.resolve();
        }
      },
      one: () => 1,
    });
    await assertRejects(
      () => Array.fromAsync(place.api.items()),
      RpcError,
    );
    await closed.promise;
    assertEquals(await place.api.one(), 1);
  }
});

Deno.test("a batch keeps its other answers where one has no form", async () => {
  const [near, far] = duplexPair();
  await using _server = serve(far, {
    one: () => 1,
    big: () => 1n,
  }, { protocol: jsonRpc(), onError() {} });
  const raw = channel<unknown>(near, {
    format: jsonRpc().format,
    codec: jsonRpc().codec,
  });
  raw.trySend([
    { jsonrpc: "2.0", id: 1, method: "one" },
    { jsonrpc: "2.0", id: 2, method: "big" },
  ]);
  const answers = await raw.receive({ timeout: 10_000 }) as {
    id: number;
    result?: unknown;
    error?: { code: number };
  }[];
  assertEquals(answers.map(({ id }) => id), [1, 2]);
  assertEquals(answers[0].result, 1);
  assertEquals(answers[1].error?.code, -32603);
  raw.abort();
});

Deno.test("a hook that throws harms nobody", async () => {
  const logged: unknown[] = [];
  const { error: original } = console;
  using _console = {
    [Symbol.dispose]: () => void (console.error = original),
  };
  console.error = (...parts: unknown[]) => void logged.push(parts);
  await using place = await connected({
    one: () => 1,
    fail() {
      throw new Error("No");
    },
  }, {
    server: {
      onError() {
        throw new Error("The logger is broken");
      },
      redactError() {
        throw new Error("The redactor is broken");
      },
      onSession(session) {
        if (session.peer.address === undefined) throw new Error("Who?");
      },
    },
  });
  await place.api.$notify.fail();
  const error = await assertRejects(() => place.api.fail(), RpcError);
  assertEquals(error.code, "internal");
  const raw = channel<unknown>(await place.dial());
  raw.trySend("malformed");
  await assertRejects(() => raw.receive({ timeout: 10_000 }));
  raw.abort();
  assertEquals(await place.api.one(), 1);
  assertEquals(logged.length, 3);
});

Deno.test("a server whose onSession throws drops that connection and no other", async () => {
  let count = 0;
  await using place = await connected({ one: () => 1 }, {
    server: {
      onError() {},
      onSession() {
        if (++count === 2) throw new Error("Not this one");
      },
    },
  });
  assertEquals(await place.api.one(), 1);
  const second = await place.connect({ onError() {} });
  await assertRejects(() => second.one(), ConnectionClosedError);
  const third = await place.connect();
  assertEquals(await third.one(), 1);
  assertEquals(place.server.sessions.size, 2);
});

Deno.test("serve lets go of its signal when it ends", async () => {
  const listeners = new Set<unknown>();
  const signal = new AbortController().signal;
  signal.addEventListener = (_type: string, listener: unknown) =>
    void listeners.add(listener);
  signal.removeEventListener = (_type: string, listener: unknown) =>
    void listeners.delete(listener);
  const [near, far] = duplexPair();
  const server = serve(far, { one: () => 1 }, { signal });
  assertEquals(listeners.size, 1);
  await server.close();
  assertEquals(listeners.size, 0);
  near.abort();
});

Deno.test("a stream's buffer is bounded by what its items hold", async () => {
  let made = 0;
  const text = "x".repeat(64 * 1024);
  await using place = await connected({
    async *items() {
      for (;;) {
        made++;
        yield { inner: [{ text }] };
      }
    },
  });
  const stream = await place.api.items();
  await stream.next();
  for (let n = 0; n < 20; n++) await place.api.$session.ping();
  // 1,024 units of about a KiB: 16 items of 64 KiB and a few on the way.
  assert(made <= 34, `${made} items were made`);
  await stream.return();
});

Deno.test("a close reaches a peer that never reads within stallTimeout", async () => {
  const [near, far] = duplexPair();
  const api = client<{ put(bytes: Uint8Array): void }>(near, {
    stallTimeout: 50,
    onError() {},
  });
  const calls = Array.from(
    { length: 20 },
    () => api.put(new Uint8Array(65536)),
  );
  const outcome = Promise.allSettled(calls);
  await api.$session.close();
  for (const { status } of await outcome) assertEquals(status, "rejected");
  far.abort();
});

Deno.test("a cancellation that crosses its answer is ignored", async () => {
  let aborted = 0;
  await using place = await connected({
    async quick(this: Context) {
      this.signal.addEventListener("abort", () => aborted++);
      return await Promise.resolve(1);
    },
  });
  const outcomes: unknown[] = [];
  for (let round = 0; round < 50; round++) {
    const stop = new AbortController();
    const call = place.api.$with({ signal: stop.signal }).quick();
    for (let turn = 0; turn < round % 12; turn++) await Promise.resolve();
    stop.abort(new Error("Enough"));
    outcomes.push(await call.catch((error) => error.message));
  }
  for (const outcome of outcomes) assert(outcome === 1 || outcome === "Enough");
  assertEquals(await place.api.quick(), 1);
  assertEquals(place.api.$session.pendingCalls, 0);
  const [session] = place.server.sessions;
  assertEquals(session.runningCalls, 0);
});

Deno.test("a close during calls rejects them, and later ones, and ends the handlers", async () => {
  const ended = Promise.withResolvers<unknown>();
  const started = Promise.withResolvers<void>();
  await using place = await connected({
    wait(this: Context) {
      started.resolve();
      this.signal.addEventListener("abort", () => ended.resolve(1));
      return new Promise<never>(() => {});
    },
    async *forever() {
      for (let n = 0;; n++) yield n;
    },
    keep(callback: () => Promise<void>) {
      retain(callback);
    },
  });
  const { api } = place;
  await api.keep(() => {});
  const stream = await api.forever();
  const next = (async () => {
    for await (const _ of stream);
  })();
  const call = api.wait();
  const settled = Promise.allSettled([call, next]);
  await started.promise;
  const closing = api.$session.close();
  await assertRejects(() => api.wait(), ConnectionClosedError);
  await assertRejects(() => api.$notify.wait(), ConnectionClosedError);
  for (const { status } of await settled) assertEquals(status, "rejected");
  await closing;
  await ended.promise;
  assertEquals(api.$session.openStreams, 0);
  assertEquals(api.$session.liveCallbacks, 0);
});

Deno.test("a result that can't be sent is told with the reason", async () => {
  await using place = await connected({ deep: () => [() => 1] });
  await assertRejects(
    async () => await place.api.deep(),
    RpcError,
    "Cannot answer deep: the result can't be sent, MessagePack has no form " +
      "for a function",
  );
});

Deno.test("a result that JSON leaves out fails its call alone", async () => {
  const protocol = jsonRpc();
  await using place = await connected({
    symbol: () => Symbol("x"),
    method: () => () => 1,
    nothing: () => ({ toJSON: () => undefined }),
    date: () => new Date(0),
    one: () => 1,
  }, { server: { protocol }, client: { protocol } });
  const { api } = place;
  for (
    const [method, what] of [
      ["symbol", "Symbol(x)"],
      ["method", "function"],
      ["nothing", "an object with toJSON"],
    ]
  ) {
    await assertRejects(
      () => api.$session.call(method),
      RpcError,
      `Cannot answer ${method}: the result can't be sent, JSON has no form for ${what}`,
    );
  }
  assertEquals(await api.$session.call("date"), "1970-01-01T00:00:00.000Z");
  assertEquals(await api.one(), 1);
});

Deno.test({
  name: "a call that a client's end cuts off names whose client it was",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/a.sock`;
    await using listener = await listenUnix({ path });
    const [connection, accepted] = await Promise.all([
      connectUnix({ path }),
      listener.accept(),
    ]);
    await using api = client<{ wait(): void }>(accepted);
    const waiting = api.wait();
    await connection.writable.close(); // no reset, though the call was not read
    await assertRejects(
      () => waiting,
      ConnectionClosedError,
      `Cannot call: a client of unix:${path} ended the connection`,
    );
    connection.abort();
  },
});

Deno.test("the stack of a call that failed leads to who called", async () => {
  await using place = await connected({
    fail() {
      throw new RangeError("no");
    },
    never: () => new Promise<never>(() => {}),
  });
  const { api } = place;
  async function whoCalled() {
    await api.fail();
  }
  async function whoWaited() {
    await api.$with({ timeout: 5 }).never();
  }
  const failed = await assertRejects(whoCalled, RpcError, "no");
  assertMatch(failed.stack!, /^RpcError: no\n +at async whoCalled/);
  const late = await assertRejects(whoWaited, DOMException);
  assertMatch(late.stack!, /timed out after 5 ms[^]*at async whoWaited/);
});

Deno.test("a handler that ends after its connection broke rejects nothing unseen", async () => {
  const requests = new TransformStream<Uint8Array, Uint8Array>();
  const answers = new TransformStream<Uint8Array, Uint8Array>();
  const pass = answers.writable.getWriter();
  let breakOff = () => {};
  const writable = new WritableStream<Uint8Array>({
    start(controller) {
      breakOff = () => controller.error(new Error("cut"));
    },
    write: (bytes) => pass.write(bytes),
  });
  const called = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const errors: unknown[] = [];
  const handlers = {
    async each(callback: (n: number) => Promise<void>) {
      await callback(1);
      called.resolve();
      await gate.promise; // then the callback is released
    },
  };
  const server = serve({ readable: requests.readable, writable }, handlers, {
    onError: (error) => errors.push(error),
  });
  const peer = client<typeof handlers>({
    readable: answers.readable,
    writable: requests.writable,
  });
  const call = peer.each(async () => {}).catch((error) => error);
  await called.promise;
  breakOff();
  gate.resolve();
  await server.closed.catch(() => {});
  await pass.close();
  assertInstanceOf(await call, ConnectionClosedError);
  assertEquals(errors.length, 1);
  await server[Symbol.asyncDispose]();
});
