// What rpc/ promises, over every transport.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConnectionClosedError } from "../duplex.ts";
import {
  type Context,
  type RemoteStream,
  retain,
  RpcError,
} from "../rpc/mod.ts";
import { connected, type Transport, transports } from "./_rpc.ts";

/** A promise to wait for, and whether it came. */
function event<T = void>() {
  const { promise, resolve } = Promise.withResolvers<T>();
  return { promise, resolve };
}

class Tree extends Error {
  override name = "TreeError";
  code = "ETREE";
  data = { leaf: 3 };
}

/** Handlers that note what happened to them. */
function createHandlers() {
  const cancelled = event<unknown>();
  const closed = event();
  const started = event();
  const noted = event<string>();
  const kept: ((n: number) => Promise<void>)[] = [];
  const handlers = {
    add: (a: number, b: number) => a + b,
    later: async (text: string) => {
      await Promise.resolve();
      return text.toUpperCase();
    },
    echo: (value: unknown) => value,
    text: { deep: { repeat: (s: string, n: number) => s.repeat(n) } },
    note(text: string) {
      noted.resolve(text);
    },
    fail() {
      throw new Tree("No tree", { cause: new RangeError("Inner") });
    },
    wait(this: Context) {
      started.resolve();
      return new Promise<never>((_, reject) => {
        this.signal.addEventListener("abort", () => {
          cancelled.resolve(this.signal.reason);
          reject(this.signal.reason);
        });
      });
    },
    about(this: Context) {
      const { method, metadata, deadline } = this;
      return { method, metadata, left: (deadline ?? 0) - Date.now() };
    },
    async *count(to: number) {
      try {
        for (let n = 1; n <= to; n++) yield n;
      } finally {
        closed.resolve();
      }
    },
    async *broken() {
      yield 1;
      throw new Tree("Broken stream");
    },
    readable: (parts: string[]) => ReadableStream.from(parts),
    async sum(numbers: AsyncIterable<number>) {
      let sum = 0;
      for await (const n of numbers) sum += n;
      return sum;
    },
    async first(numbers: AsyncIterable<number>) {
      for await (const n of numbers) return n;
      return undefined;
    },
    async *double(numbers: AsyncIterable<number>) {
      for await (const n of numbers) yield 2 * n;
    },
    async each(
      { to, onItem }: { to: number; onItem: (n: number) => Promise<string> },
    ) {
      const answers: string[] = [];
      for (let n = 0; n < to; n++) answers.push(await onItem(n));
      return answers;
    },
    keep(listener: (n: number) => Promise<void>) {
      kept.push(retain(listener));
    },
    drop(listener: (n: number) => Promise<void>) {
      kept.push(listener);
    },
    async tell(n: number) {
      for (const listener of kept) await listener(n);
    },
    async back(this: Context, n: number) {
      return await this.client<{ half(n: number): number }>().half(n);
    },
  };
  return { handlers, cancelled, closed, started, noted, kept };
}

function suite(transport: Transport): void {
  const test = (name: string, fn: () => Promise<void>) =>
    Deno.test({
      name: `rpc over ${transport.name} ${name}`,
      ignore: transport.ignore ?? false,
      fn,
    });

  test("calls, awaits, nests and keeps types", async () => {
    await using place = await connected(createHandlers().handlers, {
      transport,
    });
    const { api } = place;
    assertEquals(await api.add(1, 2), 3);
    assertEquals(await api.later("abc"), "ABC");
    assertEquals(await api.text.deep.repeat("ab", 3), "ababab");
    const value = {
      date: new Date(1234567890123),
      map: new Map<unknown, unknown>([["a", 1], [2, new Set([3])]]),
      big: 2n ** 80n,
      bytes: new Uint8Array([0, 127, 255]),
      list: [null, true, 1.5, -7, "ü"],
    };
    assertEquals(await api.echo(value), value);
    assert(await api.echo(value.bytes) instanceof Uint8Array);
  });

  test("answers a hundred calls in flight, each its own", async () => {
    await using place = await connected(createHandlers().handlers, {
      transport,
    });
    const sums = await Promise.all(
      Array.from({ length: 100 }, (_, n) => place.api.add(n, n)),
    );
    assertEquals(sums, Array.from({ length: 100 }, (_, n) => 2 * n));
    assertEquals(place.api.$session.pendingCalls, 0);
  });

  test("carries a megabyte of bytes both ways", async () => {
    await using place = await connected(createHandlers().handlers, {
      transport,
    });
    const bytes = crypto.getRandomValues(new Uint8Array(65536));
    const large = new Uint8Array(1024 * 1024);
    for (let at = 0; at < large.length; at += bytes.length) {
      large.set(bytes, at);
    }
    assertEquals(await place.api.echo(large), large);
  });

  test("keeps name, code, message, data and cause of an error", async () => {
    await using place = await connected(createHandlers().handlers, {
      transport,
    });
    const error = await assertRejects(() => place.api.fail(), RpcError);
    assertEquals(error.message, "No tree");
    assertEquals(error.code, "handler-error");
    assertEquals(error.remote, { name: "TreeError", code: "ETREE" });
    assertEquals(error.data, { leaf: 3 });
    assert(error.cause instanceof RpcError);
    assertEquals(error.cause.message, "Inner");
    assertEquals(error.cause.remote?.name, "RangeError");
  });

  test("tells without an answer", async () => {
    const { handlers, noted } = createHandlers();
    await using place = await connected(handlers, { transport });
    await place.api.$notify.note("hello");
    assertEquals(await noted.promise, "hello");
  });

  test("cancels right after sending, and the handler learns it", async () => {
    const { handlers, cancelled } = createHandlers();
    await using place = await connected(handlers, { transport });
    const stop = new AbortController();
    const call = place.api.$with({ signal: stop.signal }).wait();
    stop.abort(new Error("Changed my mind"));
    await assertRejects(() => call, Error, "Changed my mind");
    assertEquals((await cancelled.promise as RpcError).code, "cancelled");
    assertEquals(await place.api.add(1, 1), 2);
  });

  test("passes the deadline on, and ends at it on both sides", async () => {
    const { handlers, cancelled } = createHandlers();
    await using place = await connected(handlers, { transport });
    const { left } = await place.api.$with({ timeout: 60_000 }).about();
    assert(left > 50_000 && left <= 60_000, `${left} ms left`);
    const error = await assertRejects(
      () => place.api.$with({ timeout: 20 }).wait(),
      DOMException,
    );
    assertEquals(error.name, "TimeoutError");
    const reason = await cancelled.promise;
    // Whichever side's timer ran first: both tell the handler to stop.
    assert(reason instanceof DOMException || reason instanceof RpcError);
  });

  test("carries metadata", async () => {
    await using place = await connected(createHandlers().handlers, {
      transport,
    });
    const about = await place.api
      .$with({ metadata: { traceparent: "00-1-2-01" } }).about();
    assertEquals(about.method, "about");
    assertEquals(about.metadata, { traceparent: "00-1-2-01" });
  });

  test("streams results in order, to the end", async () => {
    const { handlers, closed } = createHandlers();
    await using place = await connected(handlers, { transport });
    let next = 1;
    for await (const n of place.api.count(5_000)) assertEquals(n, next++);
    assertEquals(next, 5_001);
    await closed.promise;
    assertEquals(place.api.$session.openStreams, 0);
  });

  test("leaving the loop early runs the source's finally", async () => {
    const { handlers, closed } = createHandlers();
    await using place = await connected(handlers, { transport });
    for await (const n of place.api.count(Infinity)) if (n === 10) break;
    await closed.promise;
    assertEquals(await place.api.add(1, 2), 3);
  });

  test("a stream that throws ends the loop with its error", async () => {
    await using place = await connected(createHandlers().handlers, {
      transport,
    });
    const stream = await place.api.broken();
    assertEquals(await stream.next(), { done: false, value: 1 });
    const error = await assertRejects(() => stream.next(), RpcError);
    assertEquals(error.remote?.name, "TreeError");
    assertEquals(await stream.next(), { done: true, value: undefined });
  });

  test("gives a ReadableStream for a ReadableStream", async () => {
    await using place = await connected(createHandlers().handlers, {
      transport,
    });
    const stream = await place.api.readable(["a", "b"]);
    assert(stream instanceof ReadableStream);
    assertEquals(await Array.fromAsync(stream), ["a", "b"]);
  });

  test("takes streams as arguments and ends them early", async () => {
    await using place = await connected(createHandlers().handlers, {
      transport,
    });
    const { api } = place;
    let closed = false;
    async function* numbers(to: number) {
      try {
        for (let n = 1; n <= to; n++) yield n;
      } finally {
        closed = true;
      }
    }
    assertEquals(await api.sum(numbers(2_000)), 2_001_000);
    assert(closed);
    assertEquals(await api.sum(ReadableStream.from([1, 2, 3])), 6);
    closed = false;
    assertEquals(await api.first(numbers(Infinity)), 1);
    while (api.$session.openStreams > 0) await api.add(1, 1);
    assert(closed, "the source's finally did not run");
    assertEquals(await Array.fromAsync(api.double(numbers(3))), [2, 4, 6]);
  });

  test("a slow reader holds the source back", async () => {
    let made = 0;
    const handlers = {
      async *numbers() {
        for (;;) yield made++;
      },
      made: () => made,
    };
    await using place = await connected(handlers, {
      transport,
      client: { streamWindow: 16 },
    });
    const stream: RemoteStream<number> = await place.api.numbers();
    for (let n = 0; n < 4; n++) await stream.next();
    for (let n = 0; n < 10; n++) await place.api.made();
    const seen = await place.api.made();
    assert(seen <= 16 + 4 + 1, `${seen} items for 4 that were read`);
    await stream.return();
  });

  test("the signal of a call ends its stream too", async () => {
    const { handlers, closed } = createHandlers();
    await using place = await connected(handlers, { transport });
    const stop = new AbortController();
    const api = place.api.$with({ signal: stop.signal });
    await assertRejects(
      async () => {
        for await (const n of api.count(Infinity)) {
          if (n === 3) stop.abort(new Error("Enough"));
        }
      },
      Error,
      "Enough",
    );
    await closed.promise;
  });

  test("calls functions that came as arguments", async () => {
    const { handlers, kept } = createHandlers();
    await using place = await connected(handlers, { transport });
    const { api } = place;
    const answers = await api.each({ to: 3, onItem: (n) => `item ${n}` });
    assertEquals(answers, ["item 0", "item 1", "item 2"]);
    assertEquals(api.$session.liveCallbacks, 0);

    const seen: number[] = [];
    await api.keep((n) => void seen.push(n));
    await api.tell(7);
    assertEquals(seen, [7]);
    assertEquals(api.$session.liveCallbacks, 1);
    kept.length = 0;
    await api.drop(() => {});
    const error = await assertRejects(() => api.tell(8), RpcError);
    assertEquals(error.code, "unavailable");
  });

  test("both sides call over one connection", async () => {
    await using place = await connected(createHandlers().handlers, {
      transport,
      client: { handlers: { half: (n: number) => n / 2 } },
    });
    assertEquals(await place.api.back(8), 4);
  });

  test("pending calls, streams and handlers end with the peer", async () => {
    const { handlers, started, cancelled, closed } = createHandlers();
    await using place = await connected(handlers, {
      transport,
      server: { onError() {} },
    });
    const { api } = place;
    const stream = await api.count(Infinity);
    const calls = Array.from({ length: 100 }, () => api.wait());
    await started.promise;
    api.$session.abort();
    for (const call of calls) {
      const error = await assertRejects(() => call, ConnectionClosedError);
      assertEquals(error.code, "closed");
    }
    await assertRejects(
      async () => {
        for await (const _ of stream);
      },
      ConnectionClosedError,
    );
    await cancelled.promise;
    await closed.promise;
    await assertRejects(() => api.add(1, 2), ConnectionClosedError);
    const other = await place.connect();
    assertEquals(await other.add(1, 2), 3);
  });

  test("drains: running calls end, new ones are refused", async () => {
    const go = event();
    const started = event();
    const handlers = {
      async slow() {
        started.resolve();
        await go.promise;
        return "done";
      },
      fast: () => 1,
    };
    await using place = await connected(handlers, { transport });
    const slow = place.api.slow();
    await started.promise;
    const drained = place.server.drain({ timeout: 10_000 });
    while (true) {
      const error = await place.api.fast().then(() => undefined, (e) => e);
      if (error === undefined) continue;
      assertEquals((error as RpcError).code, "unavailable");
      break;
    }
    go.resolve();
    assertEquals(await slow, "done");
    await drained;
    await place.server.closed;
  });

  test("drains: a call that was sent is answered", async () => {
    await using place = await connected({ fast: () => "done" }, { transport });
    const { api } = place;
    assertEquals(await api.fast(), "done");
    const answers: Promise<string>[] = [];
    const drained = place.server.drain({ timeout: 10_000 });
    for (;;) {
      const waiting = api.$session.pendingCalls;
      const answer = api.fast().catch((error) => error.code);
      if (api.$session.pendingCalls === waiting) break; // refused here, not sent
      answers.push(answer);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await drained;
    assertEquals([...new Set(await Promise.all(answers))], ["done"]);
  });

  test("describes what it serves, and answers a ping", async () => {
    await using place = await connected(
      { add: (a: number, b: number) => a + b, fs: { read: () => "" } },
      { transport },
    );
    assertEquals(await place.api.$session.describe(), [
      { name: "add", parameters: 2 },
      { name: "fs.read", parameters: 0 },
    ]);
    assert(await place.api.$session.ping({ timeout: 10_000 }) >= 0);
  });
}

for (const transport of transports) suite(transport);
