// The measurements of `rpc_two_processes.ts`, side by side with RPC packages of
// npm over the same Unix socket:
//
//   taskset -c 0 deno run -A bench/rpc_rivals.ts
//
// birpc and capnweb bring no transport: here they run over this package's
// framed MessagePack channel, which gives them batched writes and raw bytes.
// vscode-jsonrpc runs over its own reader and writer on node:net, where bytes
// are base64.

// deno-lint-ignore-file no-import-prefix -- no dependencies of the package

import net from "node:net";
import { Buffer } from "node:buffer";
import { createBirpc } from "npm:birpc@4.2.0";
import { RpcSession, RpcTarget } from "npm:capnweb@0.12.0";
import {
  createMessageConnection,
  StreamMessageReader,
  StreamMessageWriter,
} from "npm:vscode-jsonrpc@8.2.1/node.js";
import type { Duplex } from "../duplex.ts";
import { channel } from "../framing/mod.ts";
import { client, serve } from "../rpc/mod.ts";
import { connectUnix, listenUnix } from "../socket/mod.ts";

const ROUNDS = 5;
const SEQUENTIAL = 3_000;
const PIPELINED = 20_000;
const LARGE = 1_000;

const handlers = {
  add: (a: number, b: number) => a + b,
  echo: (data: Uint8Array) => data,
};

/** What is measured, whoever provides it. */
interface Calls {
  add(a: number, b: number): Promise<number>;
  echo(data: Uint8Array): Promise<Uint8Array>;
}

interface Contender {
  serve(path: string): Promise<void>;
  connect(path: string): Promise<Calls>;
}

/** Serves every connection of a listener with `open`. */
async function accept(path: string, open: (duplex: Duplex) => unknown) {
  const listener = await listenUnix({ path });
  (async () => {
    for await (const connection of listener) open(connection);
  })();
}

/** birpc's `post` and `on` over a channel. */
function birpc(duplex: Duplex, functions: Record<string, unknown>): Calls {
  const messages = channel<unknown>(duplex);
  const remote = createBirpc<Calls>(functions, {
    post: (data: unknown) => messages.send(data),
    on: (listener: (data: unknown) => void) => {
      (async () => {
        for await (const message of messages) listener(message);
      })();
    },
    timeout: -1,
  }) as unknown as Calls;
  return plain(remote);
}

/** Not the proxy itself: it has a `then`, so that `await` would call it. */
function plain(remote: Calls): Calls {
  return {
    add: (a, b) => remote.add(a, b),
    echo: (data) => remote.echo(data),
  };
}

class Target extends RpcTarget {
  add(a: number, b: number): number {
    return a + b;
  }
  echo(data: Uint8Array): Uint8Array {
    return data;
  }
}

/** capnweb's transport over a channel, which carries its bytes as they are. */
function capnweb(duplex: Duplex, target?: RpcTarget): Calls {
  const messages = channel<unknown>(duplex);
  const session = new RpcSession<Target>({
    encodingLevel: "jsonCompatibleWithBytes",
    send: (message: unknown) => void messages.send(message),
    receive: () => messages.receive(),
  }, target);
  const remote = session.getRemoteMain() as unknown as Calls;
  return plain(remote);
}

const contenders: Record<string, Contender> = {
  "sluice": {
    serve: async (path) => void serve(await listenUnix({ path }), handlers),
    connect: async (path) =>
      client<typeof handlers>(await connectUnix({ path })),
  },
  "birpc 4.2.0": {
    serve: (path) => accept(path, (duplex) => birpc(duplex, handlers)),
    connect: async (path) => birpc(await connectUnix({ path }), {}),
  },
  "capnweb 0.12.0": {
    serve: (path) => accept(path, (duplex) => capnweb(duplex, new Target())),
    connect: async (path) => capnweb(await connectUnix({ path })),
  },
  "vscode-jsonrpc 8.2.1": {
    serve: (path) =>
      new Promise((resolve) => {
        net.createServer((socket) => {
          const connection = createMessageConnection(
            new StreamMessageReader(socket),
            new StreamMessageWriter(socket),
          );
          connection.onRequest("add", (a: number, b: number) => a + b);
          connection.onRequest("echo", (text: string) =>
            Buffer.from(text, "base64").toString("base64"));
          connection.listen();
        }).listen(path, () =>
          resolve());
      }),
    connect: (path) =>
      new Promise((resolve) => {
        const socket = net.connect(path, () => {
          const connection = createMessageConnection(
            new StreamMessageReader(socket),
            new StreamMessageWriter(socket),
          );
          connection.listen();
          resolve({
            add: (a, b) => connection.sendRequest("add", a, b),
            echo: async (data) =>
              Buffer.from(
                await connection.sendRequest<string>(
                  "echo",
                  Buffer.from(data).toString("base64"),
                ),
                "base64",
              ),
          });
        });
      }),
  },
};

const median = (values: number[]) =>
  values.toSorted((a, b) => a - b)[values.length >> 1];

/** Calls per second with `width` of them in flight. */
async function rate(
  total: number,
  width: number,
  call: () => Promise<unknown>,
): Promise<number> {
  let left = total;
  const one = async () => {
    while (left-- > 0) await call();
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: width }, one));
  return total / (performance.now() - start) * 1000;
}

async function measure(): Promise<void> {
  const directory = await Deno.makeTempDir();
  const servers: Deno.ChildProcess[] = [];
  const calls: Record<string, Calls> = {};
  for (const name of Object.keys(contenders)) {
    const path = `${directory}/${servers.length}`;
    const server = new Deno.Command("taskset", {
      args: ["-c", "1", Deno.execPath(), "run", "-A", import.meta.url]
        .concat(name, path),
      stdout: "piped",
    }).spawn();
    servers.push(server);
    await server.stdout.getReader().read();
    calls[name] = await contenders[name].connect(path);
  }
  const large = new Uint8Array(64 * 1024);
  const ways: [string, (calls: Calls) => Promise<number>][] = [
    [
      "add(1, 2), one after the other",
      (to) => rate(SEQUENTIAL, 1, () => to.add(1, 2)),
    ],
    [
      "add(1, 2), 100 in flight",
      (to) => rate(PIPELINED, 100, () => to.add(1, 2)),
    ],
    [
      "64 KiB echo, 16 in flight",
      (to) => rate(LARGE, 16, () => to.echo(large)),
    ],
  ];
  for (const [title, run] of ways) {
    const rates: Record<string, number[]> = {};
    for (let round = 0; round <= ROUNDS; round++) {
      for (const [name, to] of Object.entries(calls)) {
        const measured = await run(to);
        if (round > 0) (rates[name] ??= []).push(measured); // the first warms up
      }
    }
    console.log(title);
    for (const [name, values] of Object.entries(rates)) {
      console.log(`  ${name}: ${Math.round(median(values))}/s`);
    }
  }
  for (const server of servers) server.kill("SIGKILL");
  await Deno.remove(directory, { recursive: true });
  Deno.exit();
}

if (import.meta.main) {
  const [name, path] = Deno.args;
  if (name === undefined) await measure();
  else {
    await contenders[name].serve(path);
    console.log("ready");
  }
}
