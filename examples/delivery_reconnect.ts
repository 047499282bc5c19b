// A client that comes back by itself to a server that is restarted. The server
// speaks lines of JSON, as many do.
//
//   deno run -A examples/delivery_reconnect.ts

import {
  channel,
  connect,
  json,
  lines,
  listen,
  reconnectingChannel,
} from "@sluice/ipc";

const directory = await Deno.makeTempDir();
await using cleanup = new AsyncDisposableStack();
cleanup.defer(() => Deno.remove(directory, { recursive: true }));
const address = `unix:${directory}/news.sock`;
const wire = { format: lines(), codec: json };

/** A server for one client, which stops after some news. */
async function serve(from: number): Promise<void> {
  await using listener = await listen(address);
  await using client = channel<string, number>(
    await listener.accept(),
    wire,
  );
  console.log("server got:", await client.receive());
  for (let n = from; n < from + 3; n++) await client.send(n);
}

const client = reconnectingChannel<number, string>(
  ({ signal }) => connect(address, { signal }),
  {
    ...wire,
    reconnect: { minDelay: 10, maxDelay: 100 },
    onConnect: (channel) => channel.send("subscribe"),
    onReconnect: ({ attempts }) => console.log(`back after ${attempts} tries`),
  },
);

for (const from of [1, 4, 7]) {
  const serving = serve(from);
  for (let n = from; n < from + 3; n++) {
    console.log("client got:", await client.receive({ timeout: 5_000 }));
  }
  await serving;
}
await client.close();
