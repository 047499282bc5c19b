// Leaves half of an answer unread on a pool's connection, and asks for another:
// without FFI the kernel can't be asked what has come.

import { connectTcp, createPool, listenTcp } from "../../tcp/mod.ts";
import { serveConnections } from "../../tcp/mod.ts";
import type { Connection } from "../../duplex.ts";

const stop = new AbortController();
const listener = await listenTcp();
const served = serveConnections(listener, async ({ readable, writable }) => {
  const writer = writable.getWriter();
  for await (const chunk of readable) {
    await writer.write(new Uint8Array([...chunk, ...chunk]));
  }
}, { signal: stop.signal, graceTimeout: 0, onError() {} });
const pool = createPool(
  ({ signal }) => connectTcp({ port: listener.port, signal, lingerTimeout: 0 }),
  { max: 1 },
);

async function ask({ readable, writable }: Connection, byte: number) {
  const writer = writable.getWriter();
  await writer.write(new Uint8Array([byte]));
  writer.releaseLock();
  const reader = readable.getReader({ mode: "byob" });
  const { value } = await reader.read(new Uint8Array(byte));
  reader.releaseLock();
  return [...value!].join(" ");
}

await pool.use((connection) => ask(connection, 1)); // one byte of two
const answer = await pool.use((connection) => ask(connection, 2));
console.log(`${answer}, ${pool.counters().discarded} discarded`);
await pool.drain();
stop.abort();
await served;
