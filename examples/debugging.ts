// A bug to look for: a Python client sends a job and no answer ever comes. Shows
// what a tap says about it; docs/debugging.md goes on with strace and tcpdump.
//
//   deno run -A examples/debugging.ts [port] [capture.pcapng]

import { channel, json, lengthPrefixed } from "@sluice/ipc/framing";
import { pcapngSink, tap, textSink } from "@sluice/ipc/observe";
import { listenTcp } from "@sluice/ipc/tcp";

const [port = "0", capture] = Deno.args;
await using listener = await listenTcp({ port: Number(port) });

const script = `${import.meta.dirname}/debugging_client.py`;
const client = new Deno.Command("python3", {
  args: [script, String(listener.port)],
}).spawn();

const format = lengthPrefixed();
await using lines = textSink({ print: console.log });
await using file = capture === undefined ? undefined : pcapngSink(capture);

let connection = tap(await listener.accept(), lines, {
  name: "jobs",
  role: "server",
  format,
  codec: json,
});
if (file !== undefined) connection = tap(connection, file, { role: "server" });

const jobs = channel<{ id: number }, { done: number }>(connection, {
  format,
  codec: json,
  partialFrameTimeout: 2_000,
});
try {
  for await (const job of jobs) await jobs.send({ done: job.id });
} catch (error) {
  console.log("the server:", String(error));
}
await client.status;
