// docs/troubleshooting.md: every message that it explains is one that a slip
// really brings, word for word.

import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import {
  channel,
  client,
  connect,
  json,
  lengthPrefixed,
  lines,
  listen,
  pipeline,
  Ring,
  serve,
  SharedMemory,
  spawn,
  validated,
} from "../mod.ts";
import { duplexPair } from "./_framing.ts";
import { noShm } from "./_shm.ts";
import { temporaryDirectory } from "./_tools.ts";

const page = new URL("../docs/troubleshooting.md", import.meta.url);
const linux = Deno.build.os === "linux";

/** The first cell of each row under "the message has". */
async function explained(): Promise<string[]> {
  const text = await Deno.readTextFile(page);
  const tables = text.split(/^\| the message has.*$/m).slice(1);
  return tables.flatMap((
    table,
  ) => [...table.split("\n\n")[0].matchAll(/^\| `([^`]+)` /gm)]).map((
    [, cell],
  ) => cell);
}

/** What a slip says. */
async function said(slip: () => unknown): Promise<string> {
  try {
    await slip();
  } catch (error) {
    return String(error);
  }
  return "no error";
}

/** What a channel says of bytes that a peer wrote before it ended. */
async function ofBytes(
  text: string,
  options: Parameters<typeof channel>[1],
  end = true,
): Promise<string> {
  const [near, far] = duplexPair();
  const port = channel(near, options);
  const writer = far.writable.getWriter();
  const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const written = writer.write(bytes)
    .then(() => end ? writer.close() : undefined)
    .catch(() => {}); // the channel may break first
  const message = await said(() => port.receive());
  port.abort();
  await written;
  return message;
}

/** What a program says that has only these flags. */
async function withFlags(flags: string[], code: string): Promise<string> {
  await using directory = await temporaryDirectory();
  const script = `${directory.path}/slip.ts`;
  const root = new URL("../mod.ts", import.meta.url).href;
  await Deno.writeTextFile(
    script,
    `import { connect } from "${root}";\n` +
      `await (${code}).catch((error) => console.log(String(error)));\n`,
  );
  const config = fileURLToPath(new URL("../deno.json", import.meta.url));
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--config", config, ...flags, script],
    stderr: "inherit",
  }).output();
  return new TextDecoder().decode(stdout);
}

const slips: Record<string, (path: string) => unknown> = {
  "no server": (path) => connect(`unix:${path}/none.sock`),
  "no server at the port": () => connect("tcp:127.0.0.1:1"),
  "no such host": () => connect("tcp:no-such-host.invalid:1"),
  "two servers": async (path) => {
    await using _first = await listen(`unix:${path}/a.sock`);
    await listen(`unix:${path}/a.sock`);
  },
  "a file": async (path) => {
    await Deno.writeTextFile(`${path}/file`, "");
    await listen(`unix:${path}/file`);
  },
  "a long path": (path) => listen(`unix:${path}/${"x".repeat(120)}`),
  "a directory of all": async (path) => {
    await Deno.mkdir(`${path}/all`);
    await Deno.chmod(`${path}/all`, 0o777);
    await listen(`unix:${path}/all/a.sock`);
  },
  "a path for an address": () => connect("/run/a.sock"),
  "unix: at the server, shm: at the client": async (path) => {
    await using _server = await serve(`unix:${path}/rpc.sock`, {});
    await connect(`shm:${path}/rpc.sock`, { timeout: 50 });
  },
  "shm: at the server, unix: at the client": async (path) => {
    await using _server = await serve(`shm:${path}/shm.sock`, {}, {
      onError() {},
    });
    const port = channel(await connect(`unix:${path}/shm.sock`));
    await port.receive({ timeout: 5_000 }).finally(() => port.abort());
  },
  "an option at the wrong place": () =>
    client("tcp:127.0.0.1:1", { retry: true } as object),
  "a channel to what is used already": () => {
    const streams = new TransformStream<Uint8Array, Uint8Array>();
    channel(streams);
    channel(streams);
  },
  "a function in a message": () =>
    channel(new TransformStream<Uint8Array, Uint8Array>()).send(() => 1),
  "an instance for handlers": () => {
    class Calculator {
      add() {}
    }
    serve(duplexPair()[0], new Calculator());
  },
  "a program that is not there": () => pipeline(["no-such-program"]).text(),
  "a program that fails": () => pipeline(["false"]).text(),
  "a command line": () => spawn("ls -l" as unknown as string[]),
  "a worker that ends": async () => {
    await using api = await client<{ add(): void }>("exec:sh -c 'exit 3'", {
      onError() {},
    });
    await api.add();
  },
};

const stop = Promise.withResolvers<void>();
const handlers = {
  add: (a: number, b: number) => a + b,
  wait: () => stop.promise,
  checked: validated(
    {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: () => ({ issues: [{ message: "Expected nothing" }] }),
      },
    },
    () => {},
  ),
};

/** What calls of one server say. */
async function calls(): Promise<string[]> {
  const [near, far] = duplexPair();
  const options = { maxConcurrentCalls: 1, maxQueuedCalls: 0, onError() {} };
  const server = serve(far, handlers, options);
  await using api = client<typeof handlers & { nope(): void }>(near, options);
  const messages = [
    await said(() => api.nope()),
    await said(() => api.checked()),
    await said(async () => {
      const result = api.add(1, 2) as unknown as AsyncIterable<number>;
      for await (const _ of result);
    }),
    await said(() => api.$with({ timeout: 20 }).wait()),
    await said(() => api.add(1, 2)), // the one before runs on
  ];
  const drained = server.drain();
  await api.$session.ping().catch(() => {});
  messages.push(await said(() => api.add(1, 2)));
  stop.resolve();
  await drained;
  return messages;
}

/** What shared memory says. */
async function memories(): Promise<string[]> {
  using memory = SharedMemory.anonymous({ size: 8192 });
  const missing = await said(() => Ring.open(memory));
  const ring = Ring.create(memory, { capacity: 1024 });
  using writer = ring.writer();
  return [
    missing,
    await said(() => SharedMemory.open(`none-${crypto.randomUUID()}`)),
    await said(() => Ring.create(memory, { capacity: 100 })),
    await said(() => ring.writer()),
    await said(() => writer.tryWrite(new Uint8Array(600))),
  ];
}

Deno.test({
  name: "docs/troubleshooting.md: every message is one that comes",
  ignore: !linux || noShm,
  async fn() {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    const format = lengthPrefixed();
    const messages = (await Promise.all([
      ...Object.values(slips).map((slip) => said(() => slip(path))),
      ofBytes("\r\0\0\0{}", { format }),
      ofBytes("worker started\n", { format }),
      ofBytes("\0\0\0\x09x", { format }),
      ofBytes("\0\0\0\x09x", { format, partialFrameTimeout: 20 }, false),
      ofBytes("no JSON\n", { format: lines(), codec: json }),
      withFlags(["--allow-net"], 'connect("unix:/run/a.sock")'),
      withFlags(
        ["--allow-net", "--allow-read", "--allow-write"],
        'connect("shm:/run/a.sock")',
      ),
      withFlags(
        ["--allow-net", "--allow-read", "--allow-write", "--allow-ffi=/usr"],
        'connect("shm:/run/a.sock")',
      ),
      calls(),
      memories(),
    ])).flat();
    const cells = await explained();
    assert(cells.length > 25, "found too few messages to be true");
    const unsaid = cells.filter((cell) => {
      const pattern = new RegExp(
        RegExp.escape(cell).replaceAll("…", ".*"),
        "s",
      );
      return !messages.some((message) => pattern.test(message));
    });
    assertEquals(unsaid, [], messages.join("\n"));
  },
});
