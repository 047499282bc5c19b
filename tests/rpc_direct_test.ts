// What a session does with messages while they are decoded, over memory that is
// read into again.

import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { lengthPrefixed } from "../framing/mod.ts";
import { client, serve } from "../rpc/mod.ts";
import { connectUnix, listenUnix } from "../socket/mod.ts";
import { temporaryDirectory } from "./_tools.ts";

const ignore = Deno.build.os === "windows";

const handlers = {
  add: (a: number, b: number) => a + b,
  echo: (value: Uint8Array | Map<string, Uint8Array>) => value,
  take: (bytes: Uint8Array) => {
    structuredClone(bytes, { transfer: [bytes.buffer as ArrayBuffer] });
  },
};

async function serveUnix() {
  const directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  const server = serve(await listenUnix({ path }), handlers, { onError() {} });
  return {
    server,
    path,
    connect: async () => client<typeof handlers>(await connectUnix({ path })),
    async [Symbol.asyncDispose]() {
      await server.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

Deno.test({
  name: "bytes that came stay as they are while later messages come",
  ignore,
  async fn() {
    await using place = await serveUnix();
    await using api = await place.connect();
    const kept: Uint8Array[] = [];
    for (let round = 0; round < 200; round++) {
      const sent = new Uint8Array(8).fill(round);
      const came = await api.echo(
        round % 3 === 0 ? new Map([["a", sent]]) : sent,
      );
      kept.push(came instanceof Map ? came.get("a")! : came as Uint8Array);
      assertEquals(await api.add(round, 1), round + 1);
    }
    for (const [round, bytes] of kept.entries()) {
      assertEquals(bytes, new Uint8Array(8).fill(round));
    }
  },
});

Deno.test({
  name:
    "a handler that transfers its argument loses what came with it, and says so",
  ignore,
  async fn() {
    await using place = await serveUnix();
    await using other = await place.connect();
    const api = await place.connect();
    const calls = [api.take(new Uint8Array(8)), api.add(1, 2)];
    await Promise.allSettled(calls);
    await assertRejects(() => calls[1], Error);
    await assertRejects(() => api.add(1, 2), Error);
    assertEquals(await other.add(1, 2), 3);
  },
});

Deno.test("the first calls of a turn leave before it is over", async () => {
  const decoder = lengthPrefixed().createDecoder();
  const written: number[] = [];
  const done = Promise.withResolvers<void>();
  const api = client<typeof handlers>({
    readable: new ReadableStream(),
    writable: new WritableStream<Uint8Array>({
      write(chunk) {
        let calls = 0;
        decoder.push(chunk, () => calls++);
        if (written.push(calls) === 2) done.resolve();
      },
    }),
  });
  const calls = Promise.allSettled(
    Array.from({ length: 40 }, () => api.add(1, 2)),
  );
  await done.promise;
  assertEquals(written, [16, 24]);
  api.$session.abort();
  await calls;
});

Deno.test({
  name: "a server and a session are one line in a log, without their options",
  ignore,
  async fn() {
    await using place = await serveUnix();
    await using api = await place.connect();
    await api.add(1, 2);
    assertEquals(
      Deno.inspect(place.server),
      `Server at unix:${place.path} (sessions: 1)`,
    );
    const text = Deno.inspect(api.$session);
    assertStringIncludes(text, `Session with unix:${place.path} (open`);
    assertEquals(text.includes("\n"), false);
    await api.$session.close();
    assertStringIncludes(Deno.inspect(api.$session), "(over");
  },
});
