// The other wires: bare MessagePack-RPC and JSON-RPC 2.0, read byte by byte.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Duplex } from "../duplex.ts";
import {
  client,
  type Context,
  jsonRpc,
  messagePackRpc,
  type Protocol,
  RpcError,
  serve,
} from "../rpc/mod.ts";
import { stdMsgpack } from "../framing/mod.ts";
import { duplexPair } from "./_rpc.ts";

const handlers = {
  subtract: (a: number, b: number) => a - b,
  named: ({ a, b }: { a: number; b: number }) => a - b,
  later: async (text: string) => await Promise.resolve(text),
  nothing() {},
  fail() {
    throw Object.assign(new RangeError("No"), { code: -32042, data: [1] });
  },
  wait(this: Context) {
    return new Promise<never>((_, reject) => {
      this.signal.addEventListener("abort", () => reject(this.signal.reason));
    });
  },
  async *count() {
    yield 1;
  },
};

/** What the server answers to bytes, until it closes or `count` lines came. */
async function exchange(
  protocol: Protocol,
  text: string,
  count: number,
): Promise<string[]> {
  const [near, far] = duplexPair();
  await using _server = serve(far, handlers, { protocol, onError() {} });
  const writer = near.writable.getWriter();
  await writer.write(new TextEncoder().encode(text));
  const lines: string[] = [];
  let rest = "";
  for await (
    const part of near.readable.pipeThrough(
      new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>,
    )
  ) {
    const parts = (rest + part).split("\n");
    rest = parts.pop()!;
    lines.push(...parts);
    if (lines.length >= count) break;
  }
  near.abort();
  return lines;
}

const line = (value: unknown) => JSON.stringify(value) + "\n";
const parse = (lines: string[]) => lines.map((text) => JSON.parse(text));

// The examples of https://www.jsonrpc.org/specification#examples.
Deno.test("jsonRpc answers the specification's calls", async () => {
  const answers = await exchange(
    jsonRpc(),
    line({ jsonrpc: "2.0", method: "subtract", params: [42, 23], id: 1 }) +
      line({
        jsonrpc: "2.0",
        method: "named",
        params: { a: 42, b: 23 },
        id: 3,
      }) +
      line({ jsonrpc: "2.0", method: "nothing", params: [1] }) +
      line({ jsonrpc: "2.0", method: "foobar", id: "1" }),
    3,
  );
  assertEquals(parse(answers), [
    { jsonrpc: "2.0", id: 1, result: 19 },
    { jsonrpc: "2.0", id: 3, result: 19 },
    {
      jsonrpc: "2.0",
      id: "1",
      error: {
        code: -32601,
        message: 'Method not found: "foobar"',
        name: "RpcError",
      },
    },
  ]);
});

Deno.test("jsonRpc answers a batch with one batch, and a batch of notifications not at all", async () => {
  const answers = await exchange(
    jsonRpc(),
    line([{ jsonrpc: "2.0", method: "nothing" }]) +
      line([
        { jsonrpc: "2.0", method: "later", params: ["a"], id: "1" },
        { jsonrpc: "2.0", method: "nothing", params: [7] },
        { jsonrpc: "2.0", method: "subtract", params: [42, 23], id: "2" },
        { jsonrpc: "2.0", method: "foo.get", id: "5" },
      ]),
    1,
  );
  const [batch] = parse(answers);
  assertEquals(
    batch.map(({ id }: { id: string }) => id).sort(),
    ["1", "2", "5"],
  );
});

for (
  const [name, text, code] of [
    ["text that is no JSON", "{oops\n", undefined],
    ["an empty batch", "[]\n", -32600],
    ["a batch of numbers", "[1,2,3]\n", -32600],
    ["another version", line({ jsonrpc: "1.0", method: "x", id: 1 }), -32600],
    ["an object as id", line({ jsonrpc: "2.0", method: "x", id: {} }), -32600],
    ["a number as method", line({ jsonrpc: "2.0", method: 1, id: 1 }), -32600],
    [
      "a text as params",
      line({ jsonrpc: "2.0", method: "x", params: "bar", id: 1 }),
      -32600,
    ],
    [
      "a batch of 101",
      line(Array(101).fill({ jsonrpc: "2.0", method: "nothing" })),
      -32600,
    ],
    [
      "an error about no call",
      line({ jsonrpc: "2.0", id: null, error: { code: 1, message: "x" } }),
      -32600,
    ],
  ] as const
) {
  Deno.test(`jsonRpc tells of ${name}, then ends the connection`, async () => {
    const answers = parse(await exchange(jsonRpc(), text, Infinity));
    assertEquals(answers.length, 1);
    assertEquals(answers[0].id, null);
    assertEquals(answers[0].error.code, code ?? -32700);
  });
}

for (
  const protocol of [
    jsonRpc(),
    jsonRpc({ frame: "content-length" }),
    jsonRpc({ cancellation: "mcp" }),
    messagePackRpc({ bare: true }),
  ]
) {
  const connect = () => {
    const [near, far] = duplexPair();
    const server = serve(far, handlers, { protocol });
    const api = client<typeof handlers>(near, { protocol });
    return { server, api };
  };
  const { name } = protocol;

  Deno.test(`${name} calls, and keeps errors`, async () => {
    const { server, api } = connect();
    assertEquals(await api.subtract(5, 3), 2);
    assertEquals(await api.named({ a: 5, b: 3 }), 2);
    assertEquals(await api.later("x"), "x");
    await api.$notify.nothing();
    const error = await assertRejects(() => api.fail(), RpcError, "No");
    assertEquals(error.code, "handler-error");
    assertEquals(error.remote, { name: "RangeError", code: -32042 });
    assertEquals(error.data, [1]);
    const missing = await assertRejects(
      () => api.$session.call("missing"),
      RpcError,
    );
    assertEquals(missing.code, "method-not-found");
    await api.$session.close();
    await server.close();
  });

  Deno.test(`${name} refuses to send what it has no form for`, async () => {
    const { server, api } = connect();
    await assertRejects(
      () => api.$session.call("later", { params: [() => 1] }),
      TypeError,
      "has no form",
    );
    await assertRejects(
      () => api.$with({ metadata: { a: 1 } }).later("x"),
      TypeError,
      "metadata",
    );
    const error = await assertRejects(
      async () => await api.count(),
      RpcError,
    );
    assertEquals(error.code, "internal");
    assertEquals(api.$session.pendingCalls, 0);
    await api.$session.close();
    await server.close();
  });
}

for (const cancellation of ["lsp", "mcp"] as const) {
  Deno.test(`jsonRpc cancels as ${cancellation} does`, async () => {
    const [near, far] = duplexPair();
    const protocol = jsonRpc({ cancellation });
    const reason = Promise.withResolvers<unknown>();
    await using _server = serve(far, {
      wait(this: Context) {
        this.signal.addEventListener(
          "abort",
          () => reason.resolve(this.signal.reason),
        );
        return new Promise<never>(() => {});
      },
    }, { protocol });
    await using api = client<{ wait(): void }>(near, { protocol });
    const stop = new AbortController();
    const call = api.$with({ signal: stop.signal }).wait();
    stop.abort(new Error("Enough"));
    await assertRejects(() => call, Error, "Enough");
    assertEquals((await reason.promise as RpcError).code, "cancelled");
  });
}

Deno.test("jsonRpc with extensions streams, calls back and carries metadata", async () => {
  const [near, far] = duplexPair();
  const protocol = jsonRpc({ extensions: true });
  const own = {
    async *count(this: Context, to: number) {
      for (let n = 0; n < to; n++) yield `${n} ${this.metadata.user}`;
    },
    call: async (f: (n: number) => Promise<number>) => await f(2),
  };
  await using _server = serve(far, own, { protocol });
  await using api = client<typeof own>(near, { protocol });
  const items = api.$with({ metadata: { user: "ada" } }).count(2);
  assertEquals(await Array.fromAsync(items), ["0 ada", "1 ada"]);
  assertEquals(await api.call((n) => n * 21), 42);
});

Deno.test("jsonRpc takes a server's batch of answers", async () => {
  const [near, far] = duplexPair();
  const protocol = jsonRpc();
  await using api = client<typeof handlers>(near, { protocol });
  const calls = Promise.all([api.subtract(1, 2), api.subtract(3, 4)]);
  const duplex: Duplex = far;
  const writer = duplex.writable.getWriter();
  await writer.write(new TextEncoder().encode(line([
    { jsonrpc: "2.0", id: 2, result: "b" },
    { jsonrpc: "2.0", id: 1, result: "a" },
  ])));
  assertEquals(await calls as unknown[], ["a", "b"]);
  far.abort();
});

Deno.test("jsonRpc refuses options that it does not know", () => {
  assertThrows(() => jsonRpc({ frame: "xml" as "lines" }), TypeError, "frame");
});

Deno.test("errors of other programs are read as they come", async () => {
  for (
    const [sent, message, code] of [
      ["just text", "just text", undefined],
      [[0, "Vim: E5108"], "Vim: E5108", 0],
      [{ message: "x", code: "E1" }, "x", "E1"],
      [7, "The peer answered with the error 7", undefined],
      [{}, "The peer sent no message", undefined],
    ] as const
  ) {
    const [near, far] = duplexPair();
    await using api = client<typeof handlers>(near);
    const { channel } = await import("../framing/mod.ts");
    const raw = channel<unknown[], unknown>(far);
    const call = api.nothing();
    const [, id] = await raw.receive();
    raw.trySend([1, id, sent, null]);
    const error = await assertRejects(() => call, RpcError);
    assertEquals(error.message, message);
    assertEquals(error.remote?.code, code);
    assert(error.code === "handler-error");
    await raw.close();
  }
});

Deno.test("a protocol with stdMsgpack keeps integers of 64 bits exact", async () => {
  const protocol = { ...messagePackRpc(), codec: stdMsgpack };
  const [near, far] = duplexPair();
  await using _server = serve(far, { next: (id: bigint) => id + 1n }, {
    protocol,
  });
  await using api = client<{ next(id: bigint): bigint }>(near, { protocol });
  assertEquals(await api.next(2n ** 53n), 2n ** 53n + 1n);
});
