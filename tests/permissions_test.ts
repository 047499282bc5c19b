// The table "Permissions" of docs/README.md, row by row: with exactly these flags
// it works, and without each of them it fails and says which one is missing.

import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { listen } from "../mod.ts";
import { certificates } from "./_certificates.ts";
import { hasNats, startNats } from "./_nats.ts";
import { hasProgram, temporaryDirectory } from "./_tools.ts";

const root = new URL("..", import.meta.url);
const linux = Deno.build.os === "linux";

/** What a row of the table promises. */
interface Row {
  name: string;
  ignore?: boolean;
  /** The flags that it needs, all of them. */
  flags: (place: Place) => string[];
  /** What is not enough in place of all: by default, all but one. */
  less?: string[];
  /** The statements of a program, which gets `place` as JSON. */
  program: string;
  /** Statements of the test, which a program talks to. */
  server?: (place: Place) => Promise<AsyncDisposable>;
}

/** Where a row may put its files, and where its server is. */
interface Place {
  directory: string;
  address: string;
  /** The certificate that a server of TLS is known by. */
  ca?: string;
}

/** A server that takes each connection and ends it. */
async function serveAt(
  place: Place,
  address: string,
  tls?: { cert: string; key: string },
): Promise<AsyncDisposable> {
  const listener = await listen(address, { tls });
  place.address = listener.address.replace("tls:127.0.0.1", "tls:localhost");
  const serving = (async () => {
    for await (const connection of listener) {
      await connection.close().catch(() => {});
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      await listener.close();
      await serving;
    },
  };
}

const inDirectory = ({ directory }: Place) => [
  `--allow-read=${directory}`,
  `--allow-write=${directory}`,
];
const hostOf = ({ address }: Place) => address.replace(/^\w+:/, "");

/** A listener, a client and an accepted connection, in one program. */
const listenAndConnect = (address: string) => `
  await using listener = await sluice.listen(${address});
  const connecting = sluice.connect(listener.address);
  await using accepted = await listener.accept();
  await using connection = await connecting;`;

const ROWS: Row[] = [
  {
    name: "framing and rpc on any pair of streams",
    flags: () => [],
    program: `
      const [there, back] = [new TransformStream(), new TransformStream()];
      const one = { readable: back.readable, writable: there.writable };
      const other = { readable: there.readable, writable: back.writable };
      const server = sluice.createSession(other, { handlers: { add: (a, b) => a + b } });
      const session = sluice.createSession(one);
      if (await session.call("add", { params: [1, 2] }) !== 3) throw new Error("no 3");
      await session.close();
      await server.close();`,
  },
  {
    name: "unix: connect",
    ignore: !linux,
    server: (place) => serveAt(place, `unix:${place.directory}/a.sock`),
    flags: ({ directory }) => [
      `--allow-net=unix:${directory}/a.sock`,
      `--allow-read=${directory}/a.sock`,
      `--allow-write=${directory}/a.sock`,
    ],
    program: `await using _ = await sluice.connect(place.address);`,
  },
  {
    name: "unix: listen",
    ignore: !linux,
    flags: (place) => [...inDirectory(place), "--allow-net"],
    program: listenAndConnect("`unix:${place.directory}/a.sock`"),
  },
  {
    name: "unix: peer credentials",
    ignore: !linux,
    flags: (place) => [...inDirectory(place), "--allow-net", "--allow-ffi"],
    program: listenAndConnect("`unix:${place.directory}/a.sock`") + `
      if (sluice.peerCredentials(accepted).pid !== Deno.pid) throw new Error("pid");`,
  },
  {
    name: "tcp: connect",
    server: (place) => serveAt(place, "tcp:127.0.0.1:0"),
    flags: (place) => [`--allow-net=${hostOf(place)}`],
    program: `await using _ = await sluice.connect(place.address);`,
  },
  {
    name: "tcp: listen",
    flags: () => ["--allow-net=127.0.0.1"],
    program: listenAndConnect(`"tcp:127.0.0.1:0"`),
  },
  {
    name: "tcp: buffer sizes",
    ignore: !linux,
    server: (place) => serveAt(place, "tcp:127.0.0.1:0"),
    flags: (place) => [`--allow-net=${hostOf(place)}`, "--allow-ffi"],
    program: `await using _ = await sluice.connect(place.address, {
      tcp: { sendBufferSize: 65536 } });`,
  },
  {
    name: "tcp: keep-alive times",
    ignore: !linux,
    server: (place) => serveAt(place, "tcp:127.0.0.1:0"),
    flags: (place) => [`--allow-net=${hostOf(place)}`, "--allow-ffi"],
    program: `await using _ = await sluice.connect(place.address, {
      tcp: { keepAlive: { idle: 10_000 } } });`,
  },
  {
    name: "tls: connect",
    ignore: !hasProgram("openssl"),
    async server(place) {
      const { ca, server } = await certificates();
      place.ca = ca;
      return await serveAt(place, "tls:127.0.0.1:0", server);
    },
    flags: (place) => [`--allow-net=${hostOf(place)}`],
    program: `await using _ = await sluice.connect(place.address, {
      tls: { caCerts: [place.ca] } });`,
  },
  {
    name: "exec:",
    ignore: !hasProgram("cat"),
    flags: () => ["--allow-run=cat"],
    program: `await using _ = await sluice.connect("exec:cat");`,
  },
  {
    name: "pipelines",
    ignore: !hasProgram("cat"),
    flags: () => ["--allow-run=echo,cat"],
    program: `
      const text = await sluice.pipeline(["echo", "hello"], ["cat"]).text();
      if (text !== "hello\\n") throw new Error(JSON.stringify(text));`,
  },
  {
    name: "stdio:",
    flags: () => [],
    program: `await using _ = await sluice.connect("stdio:");`,
  },
  {
    name: "fifo:",
    ignore: !linux,
    flags: (place) => [...inDirectory(place), "--allow-ffi"],
    program: listenAndConnect("`fifo:${place.directory}/a`"),
  },
  {
    name: "shm:",
    ignore: !linux,
    flags: (place) => [...inDirectory(place), "--allow-net", "--allow-ffi"],
    program: listenAndConnect("`shm:${place.directory}/a`"),
  },
  {
    name: "SharedMemory",
    ignore: !linux,
    flags: () => ["--allow-ffi"],
    program: `
      const name = "sluice-" + crypto.randomUUID();
      using memory = sluice.SharedMemory.create(name, { size: 4096 });
      using again = sluice.SharedMemory.open(name);`,
  },
  {
    name: "SharedMemory.list",
    ignore: !linux,
    flags: () => ["--allow-all"],
    less: ["--allow-ffi", "--allow-read"],
    program: `sluice.SharedMemory.list();`,
  },
  {
    name: "SharedMemory.prune",
    ignore: !linux,
    flags: () => ["--allow-all"],
    less: ["--allow-ffi", "--allow-read"],
    program: `sluice.SharedMemory.prune();`,
  },
  {
    name: "nats:",
    ignore: !hasNats,
    async server(place) {
      const server = await startNats();
      place.address = `nats:${server.address}/subject`;
      return server;
    },
    flags: (place) => [`--allow-net=${hostOf(place).split("/")[0]}`],
    program: listenAndConnect("place.address"),
  },
];

/** Runs a program with these flags alone. */
async function run(flags: string[], script: string, place: Place) {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    // deno-fmt-ignore
    args: [
      "run", "--quiet", "--no-prompt", "--no-check",
      "--config", fileURLToPath(new URL("deno.json", root)),
      ...flags, script, JSON.stringify(place),
    ],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
  }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

for (const { name, ignore, server, flags, less, program } of ROWS) {
  Deno.test({
    name: `permissions: ${name}`,
    ignore,
    async fn() {
      await using directory = await temporaryDirectory();
      const place: Place = { directory: directory.path, address: "" };
      await using _server = await server?.(place);
      const script = `${directory.path}/program.ts`;
      await Deno.writeTextFile(
        script,
        `import * as sluice from ${
          JSON.stringify(new URL("mod.ts", root))
        };\n` +
          `const place = JSON.parse(Deno.args[0]);\n${program}`,
      );
      const all = flags(place);
      const { code, stderr } = await run(all, script, place);
      assertEquals(code, 0, `with ${all.join(" ")}: ${stderr}`);
      for (const flag of all) {
        const given = less ?? all.filter((other) => other !== flag);
        const { code, stderr } = await run(given, script, place);
        assert(code !== 0, `works without ${flag}`);
        const permission = /^--allow-(\w+)/.exec(flag)![1];
        assertMatch(
          stderr,
          new RegExp(`--allow-${permission}|Requires ${permission} access`),
          `without ${flag}`,
        );
      }
    },
  });
}

Deno.test("permissions: importing any module", async () => {
  const { default: config } = await import("../deno.json", {
    with: { type: "json" },
  });
  await using directory = await temporaryDirectory();
  const script = `${directory.path}/program.ts`;
  const imports = Object.values(config.exports).map((path) =>
    `import ${JSON.stringify(new URL(path, root))};\n`
  );
  assert(imports.length > 5);
  await Deno.writeTextFile(script, imports.join(""));
  const { code, stderr } = await run([], script, {
    directory: "",
    address: "",
  });
  assertEquals(code, 0, stderr);
});
