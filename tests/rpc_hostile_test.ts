// Bad input and bad days: the peer at fault loses its connection, no other does.

import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Connection, Duplex } from "../duplex.ts";
import { ConnectionClosedError } from "../duplex.ts";
import { type Channel, channel, msgpack } from "../framing/mod.ts";
import { client, jsonRpc, RpcError } from "../rpc/mod.ts";
import { connected, duplexPair, transports } from "./_rpc.ts";

type Raw = Channel<unknown, unknown>;

/** Handlers that a hostile peer meets. */
const handlers = {
  add: (a: number, b: number) => a + b,
  echo: (value: unknown) => value,
  never: () => new Promise<never>(() => {}),
  async *count() {
    for (let n = 0;; n++) yield n;
  },
  async size(items: AsyncIterable<unknown>) {
    let size = 0;
    for await (const _ of items) size++;
    return size;
  },
};

/** A server, a good client of it, and raw connections to it. */
async function start(options = {}, transport = transports[0]) {
  const errors: unknown[] = [];
  const place = await connected(handlers, {
    transport,
    server: { onError: (error) => errors.push(error), ...options },
  });
  return {
    ...place,
    errors,
    raw: async (): Promise<Raw> =>
      channel<unknown, unknown>(await place.dial()),
    async [Symbol.asyncDispose]() {
      await place[Symbol.asyncDispose]();
    },
  };
}

/** Waits until the other side has ended the connection. */
async function ended(raw: Raw): Promise<void> {
  await assertRejects(async () => {
    for (;;) await raw.receive({ timeout: 5_000 });
  }, ConnectionClosedError);
  raw.abort();
}

async function writeBytes(duplex: Duplex, bytes: Uint8Array): Promise<void> {
  const writer = duplex.writable.getWriter();
  await writer.write(bytes).catch(() => {});
  writer.releaseLock();
}

const MALFORMED: [name: string, message: unknown][] = [
  ["no array", { method: "add" }],
  ["an empty array", []],
  ["an unknown type", [7, 1, "add", []]],
  ["a short request", [0, 1, "add"]],
  ["a long request", [0, 1, "add", [], {}]],
  ["a negative id", [0, -1, "add", []]],
  ["a fractional id", [0, 1.5, "add", []]],
  ["a text as id", [0, "1", "add", []]],
  ["a number as method", [0, 1, 2, []]],
  ["an object as params", [0, 1, "add", {}]],
  ["no params", [0, 1, "add", null]],
  ["a short notification", [2, "add"]],
  ["an answer to a call never made", [1, 7, null, 1]],
  ["an error for a call never made", [1, 7, "x", null]],
  ["items of a stream never opened", [2, "$items", [1, [1]]]],
  ["an end of a stream never opened", [2, "$end", [1]]],
  ["a stream for a call never made", [2, "$stream", [1, 1, "iterable"]]],
  ["a credit that is no number", [2, "$credit", [1, "x"]]],
  ["a $with without an object", [2, "$with", [1, 1]]],
  ["a callback never passed", [0, 1, "$callback", [5]]],
];

for (const [name, message] of MALFORMED) {
  Deno.test(`${name} ends that connection and no other`, async () => {
    await using place = await start();
    const raw = await place.raw();
    raw.trySend(message);
    await ended(raw);
    assertEquals(place.errors.length, 1);
    assertEquals((place.errors[0] as RpcError).code, "malformed");
    assertEquals(await place.api.add(1, 2), 3);
  });
}

const EXTRAS: [name: string, extras: unknown][] = [
  ["a timeout that is a text", { timeout: "1" }],
  ["a negative timeout", { timeout: -1 }],
  ["metadata that is a list", { metadata: [1] }],
  ["streams that are a number", { streams: 1 }],
  ["a stream of an unknown kind", { streams: [[[0], 1, "tape"]] }],
  ["a path out of the params", { streams: [[[9], 1, "iterable"]] }],
  ["a path to __proto__", { streams: [[[1, "__proto__"], 1, "iterable"]] }],
  ["a path to constructor", { callbacks: [[[1, "constructor"], 1]] }],
  ["a path over a value", { callbacks: [[[2], 1]] }],
  ["a path of three", { callbacks: [[[1, "a", "b"], 1]] }],
  ["a path that is a text", { callbacks: [["length", 1]] }],
  ["a handle twice", { callbacks: [[[0], 1], [[0], 1]] }],
];

for (const [name, extras] of EXTRAS) {
  Deno.test(`$with: ${name} ends that connection and no other`, async () => {
    await using place = await start();
    const raw = await place.raw();
    raw.trySend([2, "$with", [1, extras]]);
    raw.trySend([0, 1, "echo", [null, { a: null }, 3]]);
    await ended(raw);
    assertEquals((place.errors[0] as RpcError).code, "malformed");
    assertEquals(({} as Record<string, unknown>).polluted, undefined);
    assertEquals(await place.api.add(1, 2), 3);
  });
}

Deno.test("names of prototypes are method-not-found", async () => {
  await using place = await start();
  for (
    const name of [
      "constructor",
      "__proto__",
      "then",
      "toString",
      "hasOwnProperty",
      "valueOf",
      "add.call",
      "add.constructor",
      "__proto__.polluted",
      "",
      "$unknown",
      "constructor.prototype",
    ]
  ) {
    const error = await assertRejects(
      () => place.api.$session.call(name, { params: [1] }),
      RpcError,
      undefined,
      name,
    );
    assertEquals(error.code, "method-not-found", name);
  }
  assertEquals(await place.api.add(1, 2), 3);
});

Deno.test("keys of prototypes in arguments pollute nothing", async () => {
  await using place = await start();
  const raw = await place.raw();
  raw.trySend([0, 1, "echo", [JSON.parse('{"__proto__": {"polluted": 1}}')]]);
  const outcome = await raw.receive({ timeout: 5_000 }).catch((e) => e);
  assert(outcome instanceof Error || Array.isArray(outcome));
  assertEquals(({} as Record<string, unknown>).polluted, undefined);
  raw.abort();
});

Deno.test("random bytes end the connection that sent them, and no other", async () => {
  await using place = await start();
  for (let round = 0; round < 20; round++) {
    const duplex = await place.dial();
    const bytes = crypto.getRandomValues(new Uint8Array(64));
    bytes[0] = round % 2 === 0 ? 0xff : 0; // a length that is refused, or fits
    await writeBytes(duplex, bytes);
    await duplex.writable.close().catch(() => {});
    const end = await new Response(duplex.readable as BodyInit).bytes()
      .catch(() => new Uint8Array());
    assertEquals(end.length, 0);
  }
  assertEquals(await place.api.add(1, 2), 3);
  assert(place.errors.length > 0);
});

Deno.test("random messages of the right shape are answered or end the connection", async () => {
  await using place = await start();
  let seed = 1;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor(seed / 2 ** 32 * below);
  };
  const names = ["add", "echo", "count", "size", "$items", "$end", "$credit"]
    .concat("$with", "$stream", "$stop", "$release", "$callback", "$cancel");
  const value = (depth: number): unknown => {
    const kind = random(depth > 3 ? 5 : 8);
    if (kind === 0) return null;
    if (kind === 1) return random(5);
    if (kind === 2) return -1.5;
    if (kind === 3) return names[random(names.length)];
    if (kind === 4) return new Uint8Array(random(9));
    if (kind === 5) return { streams: value(depth + 1), a: value(depth + 1) };
    return Array.from({ length: random(4) }, () => value(depth + 1));
  };
  for (let round = 0; round < 300; round++) {
    const raw = await place.raw();
    for (let message = 0; message < 4; message++) {
      try {
        raw.trySend(
          [
            [0, random(4), names[random(names.length)], value(0)],
            [1, random(4), value(0), value(0)],
            [2, names[random(names.length)], [random(3), value(0), value(0)]],
          ][random(3)],
        );
      } catch { // ended already
      }
    }
    raw.close().catch(() => {});
    await raw.closed.catch(() => {});
  }
  assertEquals(await place.api.add(1, 2), 3);
});

for (const transport of transports) {
  const test = (name: string, fn: () => Promise<void>) =>
    Deno.test({
      name: `rpc over ${transport.name} ${name}`,
      ignore: transport.ignore ?? false,
      fn,
    });

  test("ends the connection of a peer that breaks the rules, and no other", async () => {
    await using place = await start({ maxDepth: 8 }, transport);
    let deep: unknown = 1;
    for (let level = 0; level < 9; level++) deep = [deep];
    const attacks: unknown[][] = [
      [[0, 1, "never", []], [0, 1, "never", []]], // an id that is in use
      [[1, 7, null, 1]], // an answer to no call
      [[0, 1, "echo", [deep]]],
      ["no message"],
    ];
    for (const messages of attacks) {
      const raw = await place.raw();
      for (const message of messages) raw.trySend(message);
      await ended(raw);
    }
    const duplex = await place.dial();
    await writeBytes(
      duplex,
      crypto.getRandomValues(new Uint8Array(4)).fill(255),
    );
    const rest = await new Response(duplex.readable as BodyInit).bytes()
      .catch(() => new Uint8Array());
    (duplex as Connection).abort();
    assertEquals(rest.length, 0);
    assertEquals(place.errors.length, attacks.length + 1);
    assertEquals(await place.api.add(1, 2), 3);
    assertEquals(place.server.sessions.size, 1);
  });

  test("outlives a peer that leaves with a thousand calls and streams open", async () => {
    await using place = await start({}, transport);
    const other = await place.connect({ onError() {} });
    const calls = Array.from({ length: 1_000 }, () => other.never());
    const outcome = Promise.allSettled([...calls, other.count()]);
    await other.add(1, 2);
    const session = [...place.server.sessions].find((one) =>
      one.runningCalls >= 1_000
    )!;
    other.$session.abort();
    for (const { status } of (await outcome).slice(0, 1_000)) {
      assertEquals(status, "rejected");
    }
    await session.closed.catch(() => {});
    assertEquals(session.runningCalls, 0);
    assertEquals(session.openStreams, 0);
    assertEquals(await place.api.add(1, 2), 3);
  });

  test("holds back a peer that takes all credit and reads nothing", async () => {
    let made = 0;
    await using place = await connected({
      async *large() {
        for (;;) {
          made++;
          yield "x".repeat(32 * 1024);
        }
      },
      add: (a: number, b: number) => a + b,
    }, { transport, server: { onError() {} } });
    const duplex = await place.dial();
    const raw = channel<unknown, unknown>(duplex);
    raw.trySend([0, 1, "large", []]);
    raw.trySend([2, "$credit", [1, 2 ** 50]]);
    let last = -1;
    while (made === 0 || made !== last) { // until the source has to wait
      last = made;
      for (let turn = 0; turn < 50; turn++) await place.api.add(1, 2);
    }
    assert(made < 1_000, `${made} items were made for who reads none`);
    raw.abort();
  });
}

Deno.test("a stream beyond its credit ends the connection", async () => {
  await using place = await start({ streamWindow: 4 });
  const raw = await place.raw();
  raw.trySend([2, "$with", [1, { streams: [[[0], 1, "iterable"]] }]]);
  raw.trySend([0, 1, "never", [null]]);
  raw.trySend([2, "$items", [1, [1, 2, 3, 4, 5]]]);
  await ended(raw);
  assertEquals((place.errors[0] as RpcError).code, "malformed");
});

Deno.test("nesting beyond maxDepth ends the connection", async () => {
  await using place = await start({ maxDepth: 8 });
  const raw = await place.raw();
  let deep: unknown = 1;
  for (let level = 0; level < 9; level++) deep = [deep];
  raw.trySend([0, 1, "echo", [deep]]);
  await ended(raw);
  const direct = await place.dial();
  // 60,000 arrays in each other, as bytes: no encoder would make them.
  const bytes = new Uint8Array(60_004).fill(0x91);
  new DataView(bytes.buffer).setUint32(0, 60_000);
  await writeBytes(direct, bytes);
  const rest = await new Response(direct.readable as BodyInit).bytes()
    .catch(() => new Uint8Array());
  assertEquals(rest.length, 0);
  assertEquals(await place.api.add(1, 2), 3);
});

Deno.test("hostile JSON-RPC ends its connection, and no other", async () => {
  const protocol = jsonRpc();
  await using place = await connected(handlers, {
    server: { protocol, onError() {} },
    client: { protocol },
  });
  let seed = 7;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor(seed / 2 ** 32 * below);
  };
  const call = '{"jsonrpc":"2.0","id":1,"method":"echo","params":[{"a":1}]}';
  const lines = [
    "[".repeat(50_000),
    `[${Array(5_000).fill(call).join(",")}]`, // a huge batch
    `[${call},${call}]`, // an id twice
    '{"jsonrpc":"2.0","id":1,"method":"__proto__"}',
    '{"jsonrpc":"2.0","id":1,"method":"echo","params":{"__proto__":{"x":1}}}',
    '{"jsonrpc":"2.0","id":9,"result":1}', // an answer to no call
    '"' + "\\ud800".repeat(9) + '"',
  ];
  for (let round = 0; round < 200; round++) { // one character of a call changed
    const at = random(call.length);
    const other = String.fromCharCode(32 + random(95));
    lines.push(call.slice(0, at) + other + call.slice(at + 1));
  }
  for (const line of lines) {
    const duplex = await place.dial();
    await writeBytes(duplex, new TextEncoder().encode(line + "\n"));
    await duplex.writable.close().catch(() => {});
    await new Response(duplex.readable as BodyInit).bytes().catch(() => {});
  }
  assertEquals(({} as Record<string, unknown>).x, undefined);
  assertEquals(await place.api.add(1, 2), 3);
});

Deno.test("a call with one byte changed is answered or ends its connection", async () => {
  await using place = await start();
  const call = msgpack.encode([0, 1, "echo", [{ a: [1, "x"], b: 2n }]]);
  for (let at = 0; at < call.length; at++) {
    for (const change of [0xff, 0x80, 0x01]) {
      const frame = new Uint8Array(4 + call.length);
      new DataView(frame.buffer).setUint32(0, call.length);
      frame.set(call, 4);
      frame[4 + at] ^= change;
      const duplex = await place.dial();
      await writeBytes(duplex, frame);
      await duplex.writable.close().catch(() => {});
      await new Response(duplex.readable as BodyInit).bytes().catch(() => {});
    }
  }
  assertEquals(await place.api.add(1, 2), 3);
});

Deno.test("a late answer to a call given up is ignored", async () => {
  const [near, far] = duplexPair();
  await using api = client<{ one(): number; two(): number }>(near);
  const peer = channel<unknown[], unknown>(far);
  const stop = new AbortController();
  const one = api.$with({ signal: stop.signal }).one();
  const [, id] = await peer.receive() as number[];
  stop.abort(new Error("Enough"));
  await assertRejects(() => one, Error, "Enough");
  assertEquals(await peer.receive(), [2, "$cancel", [id]]);
  peer.trySend([1, id, null, 1]);
  const two = api.two();
  const [, second] = await peer.receive() as number[];
  peer.trySend([1, second, null, 2]);
  assertEquals(await two, 2);
  await peer.close();
});

Deno.test("a peer that stops reading is held back, and the server serves others", async () => {
  await using place = await start({ highWaterMark: 64 * 1024 });
  const duplex = await place.dial();
  const raw = channel<unknown, unknown>(duplex);
  const bytes = new Uint8Array(64 * 1024);
  let sent = 0;
  // Without reading: sooner or later the server stops taking.
  for (; sent < 2_000; sent++) {
    const ok = await raw.send([0, sent, "echo", [bytes]], { timeout: 200 })
      .then(() => true, () => false);
    if (!ok) break;
  }
  assert(sent < 2_000, "the server took everything");
  assertEquals(await place.api.add(1, 2), 3);
  raw.abort();
});

Deno.test("a peer that dies with a thousand calls pending rejects them at once", async () => {
  const [near, far] = duplexPair();
  const api = client<typeof handlers>(near, { onError() {} });
  const calls = Array.from({ length: 1_000 }, () => api.never());
  const outcome = Promise.allSettled(calls);
  far.abort(new Error("Killed"));
  for (const result of await outcome) {
    assertEquals(result.status, "rejected");
    const { reason } = result as PromiseRejectedResult;
    assert(reason instanceof ConnectionClosedError);
  }
  assertEquals(api.$session.pendingCalls, 0);
});

Deno.test("handlers that throw no error, or late, or never settle, harm nobody", async () => {
  const late = Promise.withResolvers<never>();
  await using place = await connected({
    text() {
      throw "just a text";
    },
    nothing() {
      throw undefined;
    },
    object() {
      throw { reason: 1 };
    },
    frozen() {
      throw Object.freeze(Object.create(null));
    },
    late: () => late.promise,
    never: () => new Promise<never>(() => {}),
    reject: () => Promise.reject(null),
    bad() {
      throw Object.defineProperty(new Error("x"), "message", { value: 1 });
    },
    one: () => 1,
  });
  const { api } = place;
  const text = await assertRejects(() => api.text(), RpcError);
  assertEquals(text.message, 'Handler threw "just a text"');
  assertEquals(text.data, "just a text");
  assertEquals(text.remote?.name, "string");
  const nothing = await assertRejects(() => api.nothing(), RpcError);
  assertEquals(nothing.message, "Handler threw undefined");
  const object = await assertRejects(() => api.object(), RpcError);
  assertEquals(object.data, { reason: 1 });
  await assertRejects(() => api.frozen(), RpcError);
  await assertRejects(() => api.reject(), RpcError, "Handler threw null");
  await assertRejects(() => api.bad(), RpcError, "1");
  await assertRejects(() => api.$with({ timeout: 5 }).late(), DOMException);
  late.reject(new Error("Too late"));
  await assertRejects(() => api.$with({ timeout: 5 }).never(), DOMException);
  assertEquals(await api.one(), 1);
});

Deno.test("a server that answers wrongly ends the client's connection, with the reason", async () => {
  for (
    const answer of [
      [1, 99, null, 1],
      [1, 1, null],
      "hello",
      [2, "$stream", [1, 1, "tape"]],
    ]
  ) {
    const [near, far] = duplexPair();
    const errors: unknown[] = [];
    const api = client<typeof handlers>(near, {
      onError: (error) => errors.push(error),
    });
    const peer = channel<unknown, unknown>(far);
    const call = api.add(1, 2);
    await peer.receive();
    peer.trySend(answer);
    peer.trySend([1, 1, null, 3]);
    const error = await assertRejects(() => call, Error);
    assert(error instanceof ConnectionClosedError || error instanceof RpcError);
    assertEquals(errors.length, 1);
    peer.abort();
  }
});

Deno.test("a message of any length that a limit forbids ends the connection", async () => {
  await using place = await start({ maxMessageLength: 1_000 });
  const raw = await place.raw();
  raw.trySend([0, 1, "echo", ["x".repeat(2_000)]]);
  await ended(raw);
  assertEquals(await place.api.add(1, 2), 3);
});
