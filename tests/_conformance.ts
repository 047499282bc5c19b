// One suite that every transport passes: what design says of a Connection and a
// Listener. A transport's test file calls `conformance` with a way to make a
// connected pair.

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import { type Connection, ConnectionClosedError } from "../duplex.ts";
import { within } from "../_async/wait.ts";

/** Two ends of one connection; disposing frees whatever made them. */
export interface Pair extends AsyncDisposable {
  client: Connection;
  server: Connection;
}

export interface ConformanceOptions {
  /** Such as `"unix:"`. */
  name: string;
  /** Makes a fresh pair of connected ends. */
  pair(): Promise<Pair>;
  /** Why all of it is skipped, if it is. */
  ignore?: boolean;
}

const encoder = new TextEncoder();

async function readAll(connection: Connection): Promise<Uint8Array> {
  return new Uint8Array(
    await new Response(connection.readable as BodyInit).arrayBuffer(),
  );
}

async function write(connection: Connection, bytes: Uint8Array): Promise<void> {
  const writer = connection.writable.getWriter();
  await writer.write(bytes);
  writer.releaseLock();
}

/** Bytes that differ at every place, so that a lost or doubled one shows. */
function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

async function digest(bytes: Uint8Array): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", bytes as BufferSource);
  return new Uint8Array(hash).toHex();
}

/** Registers the suite. */
export function conformance(
  { name, pair, ignore = false }: ConformanceOptions,
): void {
  const test = (rule: string, fn: (pair: Pair) => Promise<void>) =>
    Deno.test({
      name: `${name} connection ${rule}`,
      ignore,
      async fn() {
        await using ends = await pair();
        await within(fn(ends), `${name} ${rule}`, { timeout: 20_000 });
        ends.client.abort();
        ends.server.abort();
      },
    });

  test("carries bytes both ways", async ({ client, server }) => {
    await write(client, encoder.encode("ping"));
    const reader = server.readable.getReader();
    assertEquals((await reader.read()).value, encoder.encode("ping"));
    reader.releaseLock();
    await write(server, encoder.encode("pong"));
    const back = client.readable.getReader();
    assertEquals((await back.read()).value, encoder.encode("pong"));
    back.releaseLock();
  });

  test("has addresses", ({ client, server }) => {
    for (const end of [client, server]) {
      assertEquals(typeof end.local, "string");
      assertEquals(typeof end.remote, "string");
      assert(/^[a-z]+:/.test(end.remote), end.remote);
    }
    return Promise.resolve();
  });

  test("carries 8 MiB each way at once, unchanged", async ({ client, server }) => {
    const there = pattern(8 << 20, 1);
    const back = pattern(8 << 20, 2);
    const send = async (end: Connection, bytes: Uint8Array) => {
      const writer = end.writable.getWriter();
      for (let at = 0; at < bytes.length; at += 100_003) {
        await writer.ready;
        writer.write(bytes.subarray(at, at + 100_003)).catch(() => {});
      }
      await writer.close();
    };
    const [, , received, returned] = await Promise.all([
      send(client, there),
      send(server, back),
      readAll(server),
      readAll(client),
    ]);
    assertEquals(await digest(received), await digest(there));
    assertEquals(await digest(returned), await digest(back));
  });

  test("fills the buffer of a BYOB reader", async ({ client, server }) => {
    await write(client, encoder.encode("hello"));
    const reader = server.readable.getReader({ mode: "byob" });
    const { value } = await reader.read(new Uint8Array(64));
    assertEquals(value, encoder.encode("hello"));
    reader.releaseLock();
  });

  test("goes on one way after the other way has ended", async ({ client, server }) => {
    await client.writable.close();
    assertEquals((await readAll(server)).length, 0);
    await write(server, encoder.encode("late"));
    await server.close();
    assertEquals(await readAll(client), encoder.encode("late"));
    await client.closed;
  });

  test("close sends what was written before", async ({ client, server }) => {
    const bytes = pattern(1 << 20);
    const writer = client.writable.getWriter();
    for (let at = 0; at < bytes.length; at += 4096) {
      writer.write(bytes.subarray(at, at + 4096)).catch(() => {});
    }
    const [received] = await Promise.all([
      readAll(server),
      client.close(), // the writer is still locked
    ]);
    assertEquals(await digest(received), await digest(bytes));
    await client.closed;
  });

  test("close is idempotent and ends the peer's stream", async ({ client, server }) => {
    const [received] = await Promise.all([
      readAll(server),
      client.close(),
      client.close(),
    ]);
    assertEquals(received.length, 0);
    await client.close();
    await client.closed;
    await server.close();
    await server.closed;
  });

  test("refuses to write after close", async ({ client, server }) => {
    await Promise.all([client.close(), server.close()]);
    await assertRejects(() => client.writable.getWriter().write(pattern(1)));
  });

  test("close ends a read that waits", async ({ client, server }) => {
    const reader = client.readable.getReader();
    const reading = reader.read();
    await Promise.all([client.close(), server.close()]);
    assertEquals((await reading).done, true);
  });

  test("abort rejects what waits, and closed, with the reason", async ({ client }) => {
    const reason = new Error("enough");
    const reading = client.readable.getReader().read();
    client.abort(reason);
    client.abort(new Error("a second one changes nothing"));
    assertEquals(await assertRejects(() => reading), reason);
    assertEquals(await assertRejects(() => client.closed), reason);
    await client.close();
  });

  test("abort without a reason says who closed it", async ({ client }) => {
    client.abort();
    const error = await assertRejects(
      () => client.closed,
      ConnectionClosedError,
    );
    assertEquals(error.code, "closed");
  });

  test("a peer's abort ends or breaks the reading side", async ({ client, server }) => {
    const reading = client.readable.getReader().read();
    server.abort();
    const result = await reading.catch((error) => error);
    if (result instanceof Error) {
      assertInstanceOf(result, ConnectionClosedError);
      assertEquals(result.code, "lost");
    } else assertEquals(result.done, true);
  });

  test("a peer that is gone breaks the writing side", async ({ client, server }) => {
    server.abort();
    const writer = client.writable.getWriter();
    const error = await assertRejects(async () => {
      for (;;) await writer.write(pattern(65536));
    }, ConnectionClosedError);
    assertEquals(error.code, "lost");
    await assertRejects(() => client.closed, ConnectionClosedError);
  });

  test("bounds what it queues when the peer does not read", async ({ client, server }) => {
    const writer = client.writable.getWriter();
    const chunk = pattern(65536);
    let written = 0;
    let stalled = false;
    while (!stalled && written < 64 << 20) {
      writer.write(chunk).catch(() => {});
      written += chunk.length;
      const ready = writer.ready.then(() => true);
      stalled = !(await Promise.race([
        ready,
        new Promise<boolean>((resolve) =>
          setTimeout(() => resolve(false), 200)
        ),
      ]));
    }
    assert(stalled, `took ${written} bytes that nobody read`);
    writer.releaseLock();
    // What was taken comes out once the peer reads.
    const [received] = await Promise.all([readAll(server), client.close()]);
    assertEquals(received.length, written);
  });

  test("close gives up on a peer that does not read", async ({ client }) => {
    const writer = client.writable.getWriter();
    writer.closed.catch(() => {});
    let full = false;
    while (!full) {
      writer.write(pattern(1 << 20)).catch(() => {});
      full = (writer.desiredSize ?? 0) < -(8 << 20);
    }
    const closing = client.close();
    client.abort(new Error("given up"));
    await closing;
    await assertRejects(() => client.closed, Error, "given up");
  });

  test("refuses what is not bytes", async ({ client }) => {
    const writer = client.writable.getWriter();
    writer.closed.catch(() => {});
    await assertRejects(
      () => writer.write("text" as unknown as Uint8Array),
      TypeError,
      "expected a Uint8Array",
    );
  });

  test("is disposed by await using", async ({ client, server }) => {
    {
      await using _end = client;
      await server.writable.close();
    }
    await client.closed;
  });
}
