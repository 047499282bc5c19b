// The second process of `measure`: listens on an address, prints the one that it
// got, then echoes or counts, until its stdin ends.

import { listen } from "./address.ts";
import type { Connection } from "./duplex.ts";
import { COUNT, type PeerTask } from "./_measure_protocol.ts";
import { serveConnections } from "./_transport/serve_connections.ts";

async function serveOne(connection: Connection): Promise<void> {
  const reader = connection.readable.getReader();
  const writer = connection.writable.getWriter();
  const first = await reader.read();
  if (first.done) return;
  let bytes = first.value.subarray(1);
  if (first.value[0] === COUNT) {
    let count = bytes.length;
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      count += value.length;
    }
    const answer = new Uint8Array(8);
    new DataView(answer.buffer).setFloat64(0, count);
    await writer.write(answer);
    return;
  }
  for (;;) {
    if (bytes.length > 0) await writer.write(bytes);
    const { value, done } = await reader.read();
    if (done) return;
    bytes = value;
  }
}

if (import.meta.main) {
  const { address, tls }: PeerTask = JSON.parse(Deno.args[0]);
  const listener = await listen(address, tls && { tls });
  serveConnections(listener, serveOne, { onError() {} });
  console.log(listener.address);
  // Whoever started it is gone when this ends, even if killed.
  for await (const _chunk of Deno.stdin.readable);
  Deno.exit(0);
}
