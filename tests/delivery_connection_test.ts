// A reliable connection passes what every connection passes, and goes on.

import { assert, assertEquals } from "@std/assert";
import { connect, listen } from "../address.ts";
import { reliableConnection, reliableConnections } from "../delivery/mod.ts";
import { client, serve } from "../rpc/mod.ts";
import { conformance } from "./_conformance.ts";
import { HASTE, startProxy } from "./_delivery.ts";
import { Random } from "./_random.ts";

conformance({
  name: "reliable:",
  async pair() {
    const listener = reliableConnections(await listen("tcp:127.0.0.1:0"));
    const client = reliableConnection(({ signal }) =>
      connect(listener.address, { signal })
    );
    const server = await listener.accept();
    return {
      client,
      server,
      async [Symbol.asyncDispose]() {
        client.abort();
        server.abort();
        await listener.close();
      },
    };
  },
});

Deno.test("reliable connection: calls go on while connections are cut", async () => {
  const inner = await listen("tcp:127.0.0.1:0");
  const listener = reliableConnections(inner);
  const handlers = { add: (a: number, b: number) => a + b };
  await using _server = serve(listener, handlers);
  await using proxy = await startProxy(
    "tcp:127.0.0.1:0",
    () => inner.address,
    new Random(7),
    { cutEvery: 4000 },
  );
  let losses = 0;
  await using calculator = client<typeof handlers>(
    reliableConnection(({ signal }) => connect(proxy.address, { signal }), {
      reconnect: HASTE,
      onDisconnect: () => losses++,
    }),
  );
  for (let round = 0; round < 100; round++) {
    const sums = await Promise.all(
      Array.from({ length: 20 }, (_, n) => calculator.add(round, n)),
    );
    assertEquals(sums, Array.from({ length: 20 }, (_, n) => round + n));
  }
  proxy.faults = {};
  assert(losses > 3, `only ${losses} losses`);
});
