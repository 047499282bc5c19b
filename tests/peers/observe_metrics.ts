// Echoes over a metered pair of connections, then waits until it is killed, so
// that its metrics are exported meanwhile. Prints what it counted itself.
//
//   OTEL_DENO=true deno run -A tests/peers/observe_metrics.ts

import { channel, lengthPrefixed } from "../../framing/mod.ts";
import { ConnectionMetrics, meter } from "../../observe/mod.ts";
import { connectTcp, listenTcp } from "../../tcp/mod.ts";

const metrics = new ConnectionMetrics({ attributes: { server: "echo" } });
const format = lengthPrefixed();
const listener = await listenTcp();
const client = channel<string, string>(await connectTcp(listener));
const server = channel<string, string>(
  meter(await listener.accept(), { format, exchanges: "received", metrics }),
);
for (let i = 0; i < 10; i++) {
  await client.send("ping");
  await server.send(await server.receive());
  await client.receive();
}
console.log(JSON.stringify({
  exporting: metrics.exporting,
  ...metrics.snapshot(),
}));
for await (const _message of server) { /* until the parent ends it */ }
