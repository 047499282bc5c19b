// Two processes, and one of them is killed.

import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConnectionClosedError, type Duplex } from "../duplex.ts";
import { client, type Context, retain, serve } from "../rpc/mod.ts";
import { connectShm, listenShm } from "../shm/mod.ts";
import { connectUnix, listenUnix, peerCredentials } from "../socket/mod.ts";
import type { handlers as Handlers } from "./peers/rpc_server.ts";
import { noShm } from "./_shm.ts";
import { startDenoPeer, temporaryDirectory } from "./_tools.ts";

type Handlers = typeof Handlers;

const kinds = [
  { kind: "unix", ignore: Deno.build.os === "windows" },
  { kind: "shm", ignore: noShm },
  { kind: "stdio", ignore: false },
] as const;

/** A server in another process, and a connection to it. */
async function start(kind: string) {
  if (kind === "stdio") {
    const script = fileURLToPath(
      new URL("peers/rpc_server.ts", import.meta.url),
    );
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", script, "stdio"],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    return {
      duplex: { readable: child.stdout, writable: child.stdin } as Duplex,
      pid: child.pid,
      async kill() {
        try {
          child.kill("SIGKILL");
        } catch { // gone already
        }
        await child.status;
      },
      async [Symbol.asyncDispose]() {
        await this.kill();
      },
    };
  }
  const directory = await temporaryDirectory();
  const path = `${directory.path}/rpc.sock`;
  const peer = startDenoPeer("rpc_server.ts", kind, path);
  assertEquals(await peer.line(), "ready");
  return {
    duplex: kind === "shm"
      ? await connectShm({ path })
      : await connectUnix({ path }),
    pid: peer.pid,
    kill: () => peer.kill(),
    async [Symbol.asyncDispose]() {
      await peer.kill();
      await directory[Symbol.asyncDispose]();
    },
  };
}

for (const { kind, ignore } of kinds) {
  Deno.test({
    name: `rpc over ${kind} calls another process, which ends in order`,
    ignore,
    async fn() {
      await using peer = await start(kind);
      await using api = client<Handlers>(peer.duplex);
      assertEquals(await api.pid(), peer.pid);
      const bytes = crypto.getRandomValues(new Uint8Array(60_000));
      assertEquals(await api.echo(bytes), bytes);
      let last = -1;
      for await (const n of api.count()) {
        if (n === 10_000) break;
        last = n;
      }
      assertEquals(last, 9_999);
    },
  });

  Deno.test({
    name:
      `rpc over ${kind} rejects a thousand pending calls when the server is killed`,
    ignore,
    async fn() {
      await using peer = await start(kind);
      const api = client<Handlers>(peer.duplex);
      const stream = await api.count();
      assertEquals((await stream.next()).value, 0);
      const calls = Array.from({ length: 1_000 }, () => api.never());
      const outcome = Promise.allSettled(calls);
      await api.add(1, 2);
      await peer.kill();
      for (const result of await outcome) {
        assertEquals(result.status, "rejected");
        const { reason } = result as PromiseRejectedResult;
        assert(reason instanceof ConnectionClosedError, String(reason));
      }
      await assertRejects(async () => {
        for await (const _ of stream);
      }, ConnectionClosedError);
      await api.$session.closed.catch(() => {});
      await assertRejects(() => api.add(1, 2), ConnectionClosedError);
    },
  });
}

for (const { kind, ignore } of kinds) {
  if (kind === "stdio") continue; // there the server is the child
  Deno.test({
    name:
      `rpc over ${kind} tells the handlers of a client that was killed, and serves others`,
    ignore,
    async fn() {
      await using directory = await temporaryDirectory();
      const path = `${directory.path}/rpc.sock`;
      const aborted = Promise.withResolvers<unknown>();
      const closed = Promise.withResolvers<void>();
      const kept: (() => Promise<void>)[] = [];
      const pids: (number | undefined)[] = [];
      const listener = kind === "shm"
        ? await listenShm({ path })
        : await listenUnix({ path });
      await using server = serve(listener, {
        hold(this: Context) {
          pids.push(this.peer.credentials?.pid);
          this.signal.addEventListener(
            "abort",
            () => aborted.resolve(this.signal.reason),
          );
          return new Promise<never>(() => {});
        },
        async *numbers() {
          try {
            for (let n = 0;; n++) yield n;
          } finally {
            closed.resolve();
          }
        },
        keep(callback: () => Promise<void>) {
          kept.push(retain(callback));
        },
        add: (a: number, b: number) => a + b,
      }, { onError() {}, credentials: peerCredentials });
      await using peer = startDenoPeer("rpc_client.ts", kind, path);
      assertEquals(await peer.line(), "ready");
      await peer.kill();
      assert(await aborted.promise instanceof ConnectionClosedError);
      await closed.promise;
      await assertRejects(() => kept[0](), ConnectionClosedError);
      if (kind === "unix") assertEquals(pids, [peer.pid]);
      await using api = client<{ add(a: number, b: number): number }>(
        kind === "shm"
          ? await connectShm({ path })
          : await connectUnix({ path }),
      );
      assertEquals(await api.add(1, 2), 3);
      assertEquals(server.sessions.size, 1);
    },
  });
}
