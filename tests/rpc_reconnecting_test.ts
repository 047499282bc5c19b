import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { assertType, type IsExact } from "@std/testing/types";
import { ConnectionClosedError } from "../duplex.ts";
import {
  CallInterruptedError,
  type Context,
  type Handlers,
  type ReconnectingClient,
  reconnectingClient,
  type ReconnectingClientOptions,
  RpcError,
  serve,
  type ServeOptions,
  type Server,
} from "../rpc/mod.ts";
import { connectShm } from "../shm/mod.ts";
import { connectUnix, listenUnix } from "../socket/mod.ts";
import type { handlers as noting } from "./peers/rpc_noting_server.ts";
import { noShm } from "./_shm.ts";
import { startDenoPeer, temporaryDirectory } from "./_tools.ts";

const unix = Deno.build.os !== "windows";
const quick = { minDelay: 1, maxDelay: 5 };

function test(name: string, run: (place: Place) => Promise<void>): void {
  Deno.test(`reconnectingClient ${name}`, { ignore: !unix }, async () => {
    await using directory = await temporaryDirectory();
    await run(new Place(`${directory.path}/a.sock`));
  });
}

/** Where a server comes and goes. */
class Place {
  constructor(readonly path: string) {}

  async serve<T extends Handlers<T>>(
    handlers: T & ThisType<Context>,
    options?: ServeOptions,
  ): Promise<Server> {
    return serve(await listenUnix({ path: this.path }), handlers, options);
  }

  client<T>(
    options: ReconnectingClientOptions<T> = {},
  ): ReconnectingClient<T> {
    return reconnectingClient<T>(
      ({ signal }) => connectUnix({ path: this.path, signal }),
      { reconnect: quick, timeout: 10_000, ...options },
    );
  }
}

/** Handlers whose calls hang until they are let go. */
function hanging() {
  const started: PromiseWithResolvers<void>[] = [Promise.withResolvers()];
  let runs = 0;
  return {
    get runs() {
      return runs;
    },
    /** A call hangs. */
    started: () => started[0].promise,
    handlers: {
      hang(value: string, _callback?: () => void) {
        runs++;
        started[0].resolve();
        return runs > 1 ? value : new Promise<string>(() => {});
      },
    },
  };
}

test("waits for its server, and for the next one", async (place) => {
  const handlers = { add: (a: number, b: number) => a + b };
  // The end of a server may not be known yet when the next call goes out.
  await using api = place.client<typeof handlers>({ idempotent: ["add"] });
  assertEquals(api.$session.state, "connecting");
  const early = [1, 2, 3].map((n) => api.add(n, n));
  for (let start = 1; start <= 3; start++) {
    await using _server = await place.serve(handlers);
    assertEquals(await api.add(start, 2), start + 2);
    assertEquals(api.$session.state, "connected");
    assertEquals(api.$session.connections, start);
  }
  assertEquals(await Promise.all(early), [2, 4, 6]);
});

test("tells of a call that may have run, and sends it no second time", async (place) => {
  const hung = hanging();
  const { handlers, started } = hung;
  const server = await place.serve(handlers);
  await using api = place.client<typeof handlers>();
  const call = assertRejects(
    () => api.hang("a"),
    CallInterruptedError,
    "Cannot call hang: the connection was lost before the answer, it may have run",
  );
  await started();
  await server.close();
  const error = await call;
  assertEquals(error.code, "interrupted");
  assertInstanceOf(error.cause, ConnectionClosedError);
  await using _next = await place.serve(handlers);
  await api.$session.ready();
  assertEquals(hung.runs, 1);
});

test("sends again what may run twice", async (place) => {
  const ways: [
    ReconnectingClientOptions<ReturnType<typeof hanging>["handlers"]>,
    { idempotent?: boolean },
  ][] = [
    [{ idempotent: ["hang"] }, {}],
    [{}, { idempotent: true }],
  ];
  for (const [options, callOptions] of ways) {
    const { handlers, started } = hanging();
    const server = await place.serve(handlers);
    await using api = place.client(options);
    const call = api.$with(callOptions).hang("a");
    await started();
    await server.close();
    const next = await place.serve(handlers);
    assertEquals(await call, "a");
    await next.close();
  }
  // Not where the call says otherwise, nor a callback that is gone.
  for (
    const [callOptions, callback] of [
      [{ idempotent: false }, undefined],
      [{}, () => {}],
    ] as const
  ) {
    const { handlers, started } = hanging();
    const server = await place.serve(handlers);
    await using api = place.client<typeof handlers>({ idempotent: ["hang"] });
    const call = assertRejects(
      () => api.$with(callOptions).hang("a", callback),
      CallInterruptedError,
    );
    await started();
    await server.close();
    await call;
  }
});

test("ends a wait by timeout and by signal, and says why there is no connection", async (place) => {
  await using api = place.client<{ add(a: number, b: number): number }>();
  await assertRejects(
    () => api.$with({ timeout: 30 }).add(1, 2),
    DOMException,
    "Cannot call add: timed out after 30 ms, there is no connection: " +
      `Cannot connect to unix:${place.path}: there is no such socket`,
  );
  const stop = new AbortController();
  const call = api.$with({ signal: stop.signal }).add(1, 2);
  stop.abort(new Error("enough"));
  await assertRejects(() => call, Error, "enough");
  await assertRejects(
    () => api.$session.ready({ timeout: 5 }),
    DOMException,
    "Cannot connect: timed out after 5 ms",
  );
  await assertRejects(
    () => api.$session.notify("add", { timeout: 5 }),
    DOMException,
    "Cannot notify add: timed out after 5 ms",
  );
});

test("counts the wait in a call's timeout", async (place) => {
  const handlers = { never: () => new Promise<void>(() => {}) };
  await using api = place.client<typeof handlers>({
    idempotent: ["never"],
    timeout: 100,
  });
  const call = assertRejects(
    () => api.never(),
    DOMException,
    "Cannot call never: timed out after 100 ms",
  );
  for (let start = 0; start < 3; start++) {
    const server = await place.serve(handlers);
    await api.$session.ready();
    await server.close();
  }
  await using _server = await place.serve(handlers);
  await call;
});

test("bounds the calls that wait", async (place) => {
  const handlers = { add: (a: number, b: number) => a + b };
  await using api = place.client<typeof handlers>({ maxPendingCalls: 2 });
  const calls = [api.add(1, 1), api.add(2, 2)];
  const error = await assertRejects(
    () => api.add(3, 3),
    RpcError,
    "2 calls wait for a connection, maxPendingCalls is 2",
  );
  assertEquals(error.code, "overloaded");
  await using _server = await place.serve(handlers);
  assertEquals(await Promise.all(calls), [2, 4]);
});

test("leaves a server that drains at once, and its calls with it", async (place) => {
  const release = Promise.withResolvers<void>();
  const handlers = (name: string) => ({
    who: () => name,
    slowly: () => release.promise.then(() => name),
  });
  const first = await place.serve(handlers("first"));
  await using api = place.client<ReturnType<typeof handlers>>();
  const slow = api.slowly();
  assertEquals(await api.who(), "first");
  const drained = first.drain();
  const calls = Array.from({ length: 20 }, () => api.who()); // refused by some
  await using _second = await place.serve(handlers("second"));
  for (const name of await Promise.all(calls)) {
    assert(name === "first" || name === "second");
  }
  while (await api.who() !== "second"); // it has been told by then
  release.resolve();
  assertEquals(await slow, "first");
  await drained;
});

test("passes on what a handler throws, also where that is unavailable", async (place) => {
  let calls = 0;
  const handlers = {
    fail() {
      calls++;
      throw new RpcError("closed for today", { code: "unavailable" });
    },
  };
  await using _server = await place.serve(handlers, { onError() {} });
  await using api = place.client<typeof handlers>({ idempotent: ["fail"] });
  await assertRejects(() => api.fail(), RpcError, "closed for today");
  assertEquals(calls, 1);
});

test("ends a stream with its connection, and gives another", async (place) => {
  const handlers = {
    async *count() {
      for (let n = 0;; n++) {
        yield n;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    },
  };
  await using api = place.client<typeof handlers>();
  for (let start = 0; start < 2; start++) {
    const server = await place.serve(handlers);
    const seen: number[] = [];
    await assertRejects(async () => {
      for await (const n of api.count()) {
        seen.push(n);
        if (n === 3) server.close();
      }
    }, ConnectionClosedError);
    assertEquals(seen.slice(0, 4), [0, 1, 2, 3]);
    await server.closed;
  }
});

test("signs in on each connection before it calls, and is called back", async (place) => {
  const signedIn = new WeakSet<object>();
  const handlers = {
    signIn(this: Context, name: string) {
      if (name !== "Ada") throw new Error("who?");
      signedIn.add(this.session);
    },
    secret(this: Context) {
      return signedIn.has(this.session) ? this.client<Own>().own() : "none";
    },
  };
  const own = { own: () => "mine" };
  type Own = typeof own;
  let tries = 0;
  const lost: unknown[] = [];
  await using api = place.client<typeof handlers>({
    handlers: own,
    idempotent: ["secret"],
    onConnect: (session) =>
      session.call("signIn", { params: [tries++ % 2 === 0 ? "?" : "Ada"] }),
    onDisconnect: (error) => lost.push(error),
  });
  for (let start = 0; start < 2; start++) {
    await using _server = await place.serve(handlers, { onError() {} });
    assertEquals(await api.secret(), "mine");
  }
  assert(lost.some((each) => each instanceof RpcError));
  assert(tries >= 4);
});

test("gives up after its tries, and on what trying won't mend", async (place) => {
  for (
    const [connect, why] of [
      [undefined, "there is no such socket"],
      [() => Promise.reject(new TypeError("no port")), "no port"],
    ] as const
  ) {
    const api = reconnectingClient<{ add(a: number, b: number): number }>(
      connect ?? (({ signal }) => connectUnix({ path: place.path, signal })),
      { reconnect: { ...quick, retries: connect === undefined ? 2 : 1000 } },
    );
    const error = await assertRejects(
      () => api.add(1, 2),
      CallInterruptedError,
      why,
    );
    assertEquals(error.code, "not-sent");
    await assertRejects(() => api.$session.closed, ConnectionClosedError, why);
    await assertRejects(() => api.add(1, 2), CallInterruptedError, why);
    assertEquals(api.$session.state, "closed");
  }
});

test("closes for good, by its signal too", async (place) => {
  const { handlers, started } = hanging();
  await using _server = await place.serve(handlers);
  const api = place.client<typeof handlers>();
  const call = assertRejects(() => api.hang("a"), ConnectionClosedError);
  await started();
  await api.$session.close();
  await call;
  await api.$session.closed;
  const error = await assertRejects(
    () => api.hang("b"),
    CallInterruptedError,
    "the client was closed on this side",
  );
  assertEquals(error.code, "not-sent");

  const stop = new AbortController();
  const other = place.client<typeof handlers>({ signal: stop.signal });
  await other.$session.ready();
  stop.abort(new Error("over"));
  await assertRejects(() => other.$session.closed, Error, "over");
  const gone = place.client({ signal: AbortSignal.abort(new Error("before")) });
  await assertRejects(() => gone.$session.closed, Error, "before");
});

Deno.test("reconnectingClient refuses bad options", () => {
  assertThrows(
    () => reconnectingClient("unix:/a" as never),
    TypeError,
    "connect",
  );
  const connect = () => Promise.reject(new Error("never"));
  assertThrows(
    () => reconnectingClient(connect, { connectTimeout: -1 }),
    RangeError,
  );
  assertThrows(
    () => reconnectingClient(connect, { reconnect: { retries: -1 } }),
    RangeError,
  );
});

Deno.test("reconnectingClient knows the names and types of its methods", () => {
  const handlers = {
    add: (a: number, b: number) => a + b,
    fs: { read: (path: string) => path, deep: { list: () => [1] } },
  };
  type Options = ReconnectingClientOptions<typeof handlers>;
  type Names = NonNullable<Options["idempotent"]>[number];
  assertType<IsExact<Names, "add" | "fs.read" | "fs.deep.list">>(true);
  type Api = ReconnectingClient<typeof handlers>;
  assertType<IsExact<ReturnType<Api["add"]>, Promise<number>>>(true);
  assertType<
    IsExact<ReturnType<Api["fs"]["deep"]["list"]>, Promise<number[]>>
  >(true);
  assertType<
    IsExact<
      NonNullable<ReconnectingClientOptions["idempotent"]>[number],
      string
    >
  >(true);
});

for (const [kind, kills] of [["unix", 50], ["shm", 10]] as const) {
  Deno.test(
    `reconnectingClient outlives ${kills} servers that are killed, over ${kind}:`,
    {
      ignore: kind === "shm" ? noShm : !unix,
    },
    async () => {
      await using directory = await temporaryDirectory();
      const path = `${directory.path}/a.sock`;
      const log = `${directory.path}/log`;
      const connect = kind === "shm" ? connectShm : connectUnix;
      await using api = reconnectingClient<typeof noting>(
        ({ signal }) => connect({ path, signal }),
        {
          reconnect: { minDelay: 1, maxDelay: 20, retries: Infinity },
          idempotent: ["double"],
          timeout: 30_000,
        },
      );
      let over = false;
      let next = 0;
      const outcomes = new Map<number, "ran" | CallInterruptedError["code"]>();
      const noteAll = async () => {
        while (!over) {
          const id = next++;
          try {
            assertEquals(await api.note(id), id);
            outcomes.set(id, "ran");
          } catch (error) {
            assertInstanceOf(error, CallInterruptedError);
            outcomes.set(id, error.code);
          }
        }
      };
      const doubleAll = async () => {
        while (!over) {
          const n = next++;
          assertEquals(await api.double(n), 2 * n);
        }
      };
      let streams = 0;
      const listenAll = async () => {
        while (!over) {
          try {
            for await (const n of api.ticks()) {
              if (n === 0) streams++;
              if (over) break;
            }
          } catch (error) {
            assert(
              error instanceof CallInterruptedError ||
                error instanceof ConnectionClosedError,
            );
          }
        }
      };
      const working = Promise.all([
        ...[1, 2, 3, 4].map(noteAll),
        ...[1, 2].map(doubleAll),
        listenAll(),
      ]);
      for (let kill = 0; kill < kills; kill++) {
        await using server = startDenoPeer(
          "rpc_noting_server.ts",
          kind,
          path,
          log,
        );
        await server.line();
        const { size } = outcomes;
        while (outcomes.size < size + kill % 5 || streams <= kill) {
          await api.double(1);
        }
      }
      await using server = startDenoPeer(
        "rpc_noting_server.ts",
        kind,
        path,
        log,
      );
      await server.line();
      await api.double(1);
      over = true;
      await working;

      const runs = new Map<number, number>();
      for (const line of (await Deno.readTextFile(log)).trim().split("\n")) {
        runs.set(Number(line), (runs.get(Number(line)) ?? 0) + 1);
      }
      for (const [id, outcome] of outcomes) {
        const count = runs.get(id) ?? 0;
        if (outcome === "ran") assertEquals(count, 1, `call ${id}`);
        else assert(count <= (outcome === "interrupted" ? 1 : 0), `call ${id}`);
      }
      assert([...outcomes.values()].includes("interrupted"));
      assertEquals(api.$session.connections, kills + 1);
      assert(streams >= kills);
    },
  );
}
