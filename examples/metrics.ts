// A server whose connections are counted and timed, as OpenTelemetry metrics.
//
//   deno run -A examples/metrics.ts
//   OTEL_DENO=true OTEL_EXPORTER_OTLP_PROTOCOL=console deno run -A examples/metrics.ts

import { channel, lengthPrefixed } from "@sluice/ipc/framing";
import { ConnectionMetrics, meter } from "@sluice/ipc/observe";
import { connectTcp, listenTcp, serveConnections } from "@sluice/ipc/tcp";

using metrics = new ConnectionMetrics({ attributes: { server: "shout" } });
const format = lengthPrefixed();

const stop = new AbortController();
const listener = await listenTcp();
const served = serveConnections(listener, async (connection) => {
  const metered = meter(connection, { format, exchanges: "received", metrics });
  await using texts = channel<string, string>(metered);
  for await (const text of texts) await texts.send(text.toUpperCase());
}, { signal: stop.signal });

for (let n = 0; n < 3; n++) {
  await using client = channel<string, string>(await connectTcp(listener));
  for (let i = 0; i < 100; i++) {
    await client.send(`message ${i}`);
    await client.receive();
  }
}
stop.abort();
await served;

const { messagesReceived, bytesReceived, exchange } = metrics.snapshot();
console.log(`${messagesReceived} messages, ${bytesReceived} bytes`);
console.log(
  `answered in ${exchange.p50.toFixed(3)} ms (p50), ` +
    `${exchange.p99.toFixed(3)} ms (p99)`,
);
console.log(
  metrics.exporting ? "exported" : "not exported: OTEL_DENO is not set",
);
