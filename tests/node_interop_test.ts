// A program in Node.js, written from the documents alone: docs/wire.md and the
// wire of docs/delivery.md.

import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import {
  bytes,
  channel,
  client,
  connect,
  type Context,
  listen,
  reliableListener,
  RpcError,
  serve,
} from "../mod.ts";
import { hasProgram, startPeer, temporaryDirectory } from "./_tools.ts";

const ignore = Deno.build.os === "windows" || !hasProgram("node");
const script = fileURLToPath(new URL("peers/wire_peer.mjs", import.meta.url));
const node = (mode: string, place: string) =>
  startPeer("node", [script, mode, place]);

interface NodeHandlers {
  shout(text: string): string;
  fail(): void;
  nope(): void;
  whoami(): string;
  wait(): void;
  size(bytes: Uint8Array): number;
  count(to: number): AsyncGenerator<number>;
  texts(count: number, length: number): AsyncGenerator<string>;
  sum(numbers: AsyncIterable<number>): number;
  each(
    argument: { items: string[]; onItem(item: string): string },
  ): string[];
  note(text: string): void;
}

async function* numbers(to: number) {
  for (let n = 1; n <= to; n++) yield n;
}

Deno.test({
  name: "Node.js calls a server, by docs/wire.md alone",
  ignore,
  async fn() {
    const log: string[] = [];
    const handlers = {
      add: (a: number, b: number) => a + b,
      note: (text: string) => void log.push(text),
      fail(what: string) {
        throw Object.assign(new RangeError(`No ${what}`), { data: 7 });
      },
      size: (data: Uint8Array) => data.length,
      whoami(this: Context) {
        return this.metadata.user;
      },
      wait(this: Context) {
        return new Promise<void>((resolve) => {
          this.signal.addEventListener("abort", () => {
            log.push("told to stop");
            resolve();
          });
        });
      },
      async *count(to: number) {
        try {
          for (let n = 0; n < to; n++) yield n;
        } finally {
          log.push("count is done");
        }
      },
      async *texts(count: number, length: number) {
        for (let n = 0; n < count; n++) yield "x".repeat(length);
      },
      async *breaks() {
        yield 1;
        throw new Error("broke");
      },
      async sum(numbers: AsyncIterable<number>) {
        let sum = 0;
        for await (const n of numbers) sum += n;
        return sum;
      },
      async each(items: string[], ask: (item: string) => Promise<string>) {
        const answers: string[] = [];
        for (const item of items) answers.push(await ask(item));
        return answers;
      },
      ask(this: Context, name: string) {
        return this.client<NodeHandlers>().shout(name);
      },
    };
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/a.sock`;
    const errors: unknown[] = [];
    await using _server = await serve(`unix:${path}`, handlers, {
      onError: (error) => void errors.push(error),
    });
    await using peer = node("call", path);
    for (
      const expected of [
        3,
        69_998.5,
        {
          code: "handler-error",
          name: "RangeError",
          message: "No x",
          data: 7,
        },
        {
          code: "method-not-found",
          name: "RpcError",
          message: 'Method not found: "toString"',
        },
        70_000,
        "ada",
        {
          code: "deadline-exceeded",
          name: "RpcError",
          message: "Cannot serve wait: timed out after 20 ms",
        },
        {
          code: "cancelled",
          name: "RpcError",
          message: "Cancelled by the caller",
        },
        [0, 1, 2, 3, 4],
        150_000,
        1,
        "broke",
        12_502_500,
        ["released", 1],
        ["a?", "b?"],
        "NODE!",
        null,
        { name: "add", parameters: 2 },
      ]
    ) assertEquals(JSON.parse(await peer.line()), expected);
    assertEquals((await peer.status).code, 0);
    assertEquals(log, [
      "hi",
      "told to stop", // it took too long
      "told to stop", // it was cancelled
      "count is done",
      "count is done", // a billion items, of which Node took 20
    ]);
    assertEquals(errors, []);
  },
});

Deno.test({
  name: "Node.js serves a client, by docs/wire.md alone",
  ignore,
  async fn() {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/a.sock`;
    await using peer = node("serve", path);
    assertEquals(await peer.line(), '"ready"');
    await using api = await client<NodeHandlers>(`unix:${path}`);

    assertEquals(await api.shout("abc"), "ABC!");
    const error = await api.fail().catch((error) => error);
    assert(error instanceof RpcError);
    assertEquals(error.message, "not in Node");
    assertEquals(error.remote?.name, "RangeError");
    assertEquals(error.data, [1, 2]);
    const none = await api.nope().catch((error) => error);
    assertEquals(none.code, "method-not-found");
    assertEquals(
      await api.$with({ metadata: { user: "ada" } }).whoami(),
      "ada",
    );
    assertEquals(await api.size(new Uint8Array(70_000)), 70_000);
    const late = await api.$with({ timeout: 20 }).wait()
      .catch((error) => error);
    assertEquals(late.name, "TimeoutError");
    const stop = new AbortController();
    const stopped = api.$with({ signal: stop.signal }).wait();
    stop.abort("enough");
    assertEquals(await stopped.catch((error) => error), "enough");

    let next = 0;
    for await (const n of api.count(5000)) assertEquals(n, next++);
    assertEquals(next, 5000);
    assertEquals(await peer.line(), '"count is done"');
    for await (const n of api.count(1e9)) if (n === 3000) break;
    assertEquals(await peer.line(), '"count is done"');
    let length = 0;
    for await (const text of api.texts(20, 300_000)) length += text.length;
    assertEquals(length, 6_000_000);
    assertEquals(await api.sum(numbers(5000)), 12_502_500);
    assertEquals(
      await api.each({ items: ["a", "b"], onItem: (item) => `${item}?` }),
      ["a?", "b?"],
    );
    api.$notify.note("hi");
    assertEquals(JSON.parse(await peer.line()), ["noted", "hi"]);
    await api.$session.ping();
  },
});

Deno.test({
  name:
    "Node.js delivers over connections that it cuts, by docs/delivery.md alone",
  ignore,
  async fn() {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/a.sock`;
    const errors: unknown[] = [];
    await using server = reliableListener<string, string>(
      await listen(`unix:${path}`),
      { onError: (error) => void errors.push(error) },
    );
    await using peer = node("deliver", path);
    const session = await server.accept();
    const jobs: string[] = [];
    const handling = session.handle((job) => void jobs.push(job));
    for (let n = 0; n < 250; n++) {
      while (!session.trySend(`news ${n}`)) await session.ready;
    }
    await handling;
    await session.close();
    assertEquals(jobs, Array.from({ length: 250 }, (_, n) => `job ${n}`));
    const { received, connections } = JSON.parse(await peer.line());
    assertEquals(received, 250);
    assert(connections > 1, "nothing was cut");
    assertEquals((await peer.status).code, 0);
    assertEquals(errors, []);
  },
});

for (const scheme of ["unix", "tcp"]) {
  Deno.test({
    name: `Node.js echoes frames over ${scheme}:`,
    ignore,
    async fn() {
      await using directory = await temporaryDirectory();
      const path = `${directory.path}/a.sock`;
      await using peer = node("echo", scheme === "tcp" ? "0" : path);
      const port = JSON.parse(await peer.line());
      await using echo = channel<Uint8Array>(
        await connect(
          scheme === "tcp" ? `tcp:127.0.0.1:${port}` : `unix:${path}`,
        ),
        { codec: bytes, timeout: 10_000 },
      );
      const lengths = [0, 1, 255, 256, 65_535, 65_536, 1 << 20];
      const sent = lengths.map((length) =>
        echo.send(new Uint8Array(length).fill(length % 251))
      );
      for (const length of lengths) {
        const frame = await echo.receive();
        assertEquals(frame.length, length);
        assert(frame.every((byte) => byte === length % 251));
      }
      await Promise.all(sent);
    },
  });
}
