// What client<typeof handlers> infers. These fail at `deno check`.

import { assertEquals } from "@std/assert";
import { assertType, type IsExact } from "@std/testing/types";
import {
  type ArgumentsSchema,
  type Client,
  client,
  type Context,
  type RemoteStream,
  serve,
  validated,
  withContext,
} from "../rpc/mod.ts";
import { duplexPair } from "./_rpc.ts";

interface User {
  id: number;
  name?: string;
  seen: Date;
}

const pair: ArgumentsSchema<[a: string, b: number], [string, number]> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) => ({ value: value as [string, number] }),
  },
};

const handlers = {
  add: (a: number, b: number) => a + b,
  async user(this: Context, id: number, deep?: boolean): Promise<User> {
    return await Promise.resolve({ id, seen: new Date(), deep });
  },
  rest: (first: string, ...others: number[]) => [first, ...others],
  nothing() {},
  never(): never {
    throw new Error();
  },
  // deno-lint-ignore no-explicit-any
  anything: (value: any) => value as any,
  bytes: (value: Uint8Array) => value,
  choice: (value: "a" | "b") => value === "a" ? 1 : undefined,
  async *items(to: number) {
    for (let n = 0; n < to; n++) yield { n };
  },
  async lateItems() {
    return await Promise.resolve(ReadableStream.from(["a"]));
  },
  takes: (source: AsyncIterable<number>) => source !== undefined,
  notify: (
    each: (n: number) => Promise<void>,
    options?: { onEnd?: (reason: string) => Promise<boolean>; dates: Date[] },
  ) => options !== undefined && each !== undefined,
  arrow: withContext((context, text: string) => context.method + text),
  checked: validated(pair, (a, b) => a.repeat(b)),
  nested: { deep: { twice: (n: number) => 2 * n } },
  "text/didOpen": (uri: string) => uri.length,
  $secret: () => 1,
  then: () => 1,
  version: "1",
};

type Api = Client<typeof handlers>;
type Fn<K extends keyof Api> = Api[K];

Deno.test("Client infers arguments, results, streams, callbacks and errors", () => {
  assertType<
    IsExact<Fn<"add">, (a: number, b: number) => Promise<number>>
  >(true);
  assertType<
    IsExact<Fn<"user">, (id: number, deep?: boolean) => Promise<User>>
  >(true);
  assertType<
    IsExact<
      Fn<"rest">,
      (first: string, ...others: number[]) => Promise<(string | number)[]>
    >
  >(true);
  assertType<IsExact<Fn<"nothing">, () => Promise<void>>>(true);
  assertType<IsExact<Fn<"never">, () => Promise<never>>>(true);
  // deno-lint-ignore no-explicit-any
  assertType<IsExact<ReturnType<Fn<"anything">>, Promise<any>>>(true);
  assertType<
    IsExact<Parameters<Fn<"bytes">>, [value: Uint8Array<ArrayBufferLike>]>
  >(true);
  assertType<
    IsExact<
      Fn<"choice">,
      (value: "a" | "b") => Promise<1 | null>
    >
  >(true);
  assertType<
    IsExact<
      ReturnType<Fn<"items">>,
      Promise<RemoteStream<{ n: number }>> & AsyncIterable<{ n: number }>
    >
  >(true);
  assertType<
    IsExact<
      ReturnType<Fn<"lateItems">>,
      Promise<ReadableStream<string>> & AsyncIterable<string>
    >
  >(true);
  assertType<
    IsExact<Fn<"takes">, (source: AsyncIterable<number>) => Promise<boolean>>
  >(true);
  type Notify = Parameters<Fn<"notify">>;
  assertType<IsExact<Notify[0], (n: number) => void | Promise<void>>>(true);
  assertType<
    IsExact<
      NonNullable<Notify[1]>,
      {
        onEnd?: (reason: string) => boolean | Promise<boolean>;
        dates: Date[];
      }
    >
  >(true);
  assertType<IsExact<Fn<"arrow">, (text: string) => Promise<string>>>(true);
  assertType<
    IsExact<Fn<"checked">, (a: string, b: number) => Promise<string>>
  >(true);
  assertType<
    IsExact<Api["nested"]["deep"]["twice"], (n: number) => Promise<number>>
  >(true);
  assertType<
    IsExact<Fn<"text/didOpen">, (uri: string) => Promise<number>>
  >(true);
});

Deno.test("Client leaves out reserved names and what is no function", () => {
  assertType<
    IsExact<
      Extract<keyof Api, "$secret" | "then" | "version">,
      never
    >
  >(true);
});

Deno.test("Client types notifications and per-call options alike", () => {
  assertType<
    IsExact<Api["$notify"]["add"], (a: number, b: number) => Promise<void>>
  >(true);
  assertType<IsExact<ReturnType<Api["$with"]>, Api>>(true);
});

Deno.test("serve refuses at compile time and run time what no one could call", () => {
  const [near] = duplexPair();
  const refused: string[] = [];
  const attempt = (act: () => unknown) => {
    try {
      act();
    } catch (error) {
      refused.push((error as Error).message);
    }
  };
  // @ts-expect-error a text is no handler
  attempt(() => serve(near, { version: "1" }));
  // @ts-expect-error the name is reserved
  attempt(() => serve(near, { $secret: () => 1 }));
  // @ts-expect-error with it, the client would be a promise
  attempt(() => serve(near, { then: () => 1 }));
  // @ts-expect-error inherited everywhere
  attempt(() => serve(near, { constructor: () => 1 }));
  assertEquals(refused, [
    "Invalid handlers: expected version to be a function or an object of " +
    'functions, received "1"',
    "Invalid handlers: the name $secret is reserved",
    "Invalid handlers: the name then is reserved",
    "Invalid handlers: the name constructor is reserved",
  ]);
});

Deno.test("handlers written in the call of serve know their context", async () => {
  const [near, far] = duplexPair();
  await using _server = serve(far, {
    method() {
      assertType<IsExact<typeof this, Context>>(true);
      return this.method;
    },
    wrong() {
      // @ts-expect-error `this` is the context, and has no other handlers
      return this.other === undefined;
    },
    other: () => 1,
  });
  await using api = client<{ method(): string; wrong(): boolean }>(near);
  assertEquals(await api.method(), "method");
  assertEquals(await api.wrong(), true);
});
