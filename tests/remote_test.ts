// The root's serve and client: an address in place of a listener or a duplex.

import { fileURLToPath } from "node:url";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { assertType, type IsExact } from "@std/testing/types";
import {
  type AddressServer,
  type Client,
  client,
  connect,
  type Context,
  listen,
  reconnectingClient,
  serve,
  type Server,
} from "../mod.ts";
import * as root from "../mod.ts";
import * as rpc from "../rpc/mod.ts";
import { duplexPair } from "./_rpc.ts";
import { noShm } from "./_shm.ts";
import { temporaryDirectory } from "./_tools.ts";

const handlers = {
  add: (a: number, b: number) => a + b,
  whoami(this: Context) {
    return this.peer.credentials?.pid;
  },
  async *count(to: number) {
    for (let n = 1; n <= to; n++) yield n;
  },
  async ask(this: Context) {
    return await this.client<{ pid(): number | undefined }>().pid();
  },
};

const addresses = [
  { scheme: "unix", ignore: Deno.build.os === "windows" },
  { scheme: "shm", ignore: noShm },
  { scheme: "tcp", ignore: false },
];

for (const { scheme, ignore } of addresses) {
  const fill = (path: string) =>
    scheme === "tcp" ? "tcp:127.0.0.1:0" : `${scheme}:${path}/a.sock`;

  Deno.test({
    name: `serve and client take a ${scheme}: address and know who calls`,
    ignore,
    async fn() {
      await using directory = await temporaryDirectory();
      await using server = await serve(fill(directory.path), handlers);
      assertStringIncludes(server.address, `${scheme}:`);
      await using api = await client<typeof handlers>(server.address, {
        handlers: {
          pid(this: Context) {
            return this.peer.credentials?.pid;
          },
        },
      });
      assertEquals(await api.add(1, 2), 3);
      assertEquals(await Array.fromAsync(api.count(3)), [1, 2, 3]);
      const pid = scheme === "tcp" ? null : Deno.pid;
      assertEquals(await api.whoami(), pid);
      assertEquals(await api.ask(), pid);
      assertEquals(server.sessions.size, 1);
    },
  });

  Deno.test({
    name: `serve at a ${scheme}: address closes, and frees the address`,
    ignore,
    async fn() {
      await using directory = await temporaryDirectory();
      const server = await serve(fill(directory.path), handlers);
      const api = await client<typeof handlers>(new URL(server.address));
      assertEquals(await api.add(1, 2), 3);
      await server.close();
      await assertRejects(() => api.add(1, 2), root.ConnectionClosedError);
      await assertRejects(() => connect(server.address, { timeout: 500 }));
      await using again = await serve(server.address, handlers);
      assertEquals(again.address, server.address);
    },
  });
}

Deno.test("client waits for a server that is not up yet, and passes options on", async () => {
  await using directory = await temporaryDirectory();
  const address = `unix:${directory.path}/a.sock`;
  const connecting = client<typeof handlers>(address, {
    connect: { retry: true, timeout: 10_000 },
    timeout: 10_000,
    maxPendingCalls: 1,
  });
  await using _server = await serve(address, handlers, {
    listen: { unix: { mode: 0o600 } },
    credentials: undefined,
  });
  await using api = await connecting;
  assertEquals(await api.whoami(), null);
  const first = api.add(1, 2);
  await assertRejects(() => api.add(1, 2), rpc.RpcError, "maxPendingCalls");
  assertEquals(await first, 3);
});

Deno.test("serve and client reject what they can't use, and leave nothing open", async () => {
  await using directory = await temporaryDirectory();
  const address = `unix:${directory.path}/a.sock`;
  await assertRejects(() => serve("pigeon:coo", handlers), TypeError, "pigeon");
  await assertRejects(() => client("pigeon:coo"), TypeError, "pigeon");
  await assertRejects(
    // @ts-expect-error the name is reserved
    () => serve(address, { then: () => 1 }),
    TypeError,
    "reserved",
  );
  await assertRejects(
    () => serve(address, handlers, { maxStreams: -1 }),
    RangeError,
  );
  await assertRejects(
    () => serve(address, handlers, { signal: AbortSignal.abort() }),
    DOMException,
  );
  await assertRejects(() => client(address, { connect: { timeout: 1_000 } }));
  await using listener = await listen(address);
  await assertRejects(() => client(address, { maxDepth: 0 }), RangeError);
  await (await listener.accept()).close().catch(() => {});
});

Deno.test("serve and client of the root take a listener or a duplex at once", async () => {
  const [near, far] = duplexPair();
  await using server = serve(far, handlers);
  await using api = client<typeof handlers>(near);
  assertEquals(await api.add(1, 2), 3);
  assertEquals(server.address, "memory:far");
  assertType<IsExact<typeof server, Server>>(true);
  assertType<IsExact<typeof api, Client<typeof handlers>>>(true);
  const at = () => serve("unix:/a", handlers);
  assertType<IsExact<ReturnType<typeof at>, Promise<AddressServer>>>(true);
  const to = () => client<typeof handlers>("unix:/a");
  assertType<
    IsExact<ReturnType<typeof to>, Promise<Client<typeof handlers>>>
  >(true);
  const sum = (api: Client<typeof handlers>) => api.add(1, 2);
  assertType<IsExact<ReturnType<typeof sum>, Promise<number>>>(true);
});

Deno.test("reconnectingClient takes an address, and options of its transport", async () => {
  await using directory = await temporaryDirectory();
  const handlers = { add: (a: number, b: number) => a + b };
  const listening = await serve("tcp:127.0.0.1:0", handlers);
  for (const address of [listening.address, `unix:${directory.path}/a.sock`]) {
    await using api = reconnectingClient<typeof handlers>(address, {
      connect: { tcp: { noDelay: true } },
      idempotent: ["add"],
      reconnect: { minDelay: 1, maxDelay: 5 },
      timeout: 10_000,
    });
    if (address === listening.address) {
      assertEquals(await api.add(1, 2), 3);
      await listening.close();
    }
    await using _server = await serve(address, handlers);
    assertEquals(await api.add(3, 4), 7);
  }
  assertThrows(
    () => reconnectingClient("unix:/a", { tcp: {} } as object),
    TypeError,
    "tcp goes into connect",
  );
});

Deno.test("the root exports all of rpc", () => {
  const exported = root as Record<string, unknown>;
  for (const [name, value] of Object.entries(rpc)) {
    assert(name in exported, name);
    if (!["serve", "client", "reconnectingClient"].includes(name)) {
      assert(exported[name] === value, name);
    }
  }
});

Deno.test("serve takes stdio: in a program that client starts with exec:", async () => {
  type Worker = {
    add(a: number, b: number): number;
    exit(code: number): never;
  };
  const script = fileURLToPath(new URL("peers/rpc_stdio.ts", import.meta.url));
  const address = `exec:"${Deno.execPath()}" run "${script}"`;
  const connection = await connect(address, { exec: { stderr: "piped" } });
  const { stderr } = connection as unknown as { stderr: ReadableStream };
  const worker = client<Worker>(connection);
  assertEquals(await worker.add(20, 22), 42);
  await worker.$session.close();
  assertEquals(
    await new Response(stderr as BodyInit).text(),
    "adding\nbye from stdio:\n",
  );

  await using dying = await client<Worker>(address);
  const error = await assertRejects(() => dying.exit(3), Error);
  assertStringIncludes(
    error.message,
    "the connection was lost (it exited with code 3)",
  );
});
