// Receives messages, but only once it is told to: a line on a second
// connection. Then it answers with their count and bytes, and its own peak of
// memory.
//
// usage: slow_receiver.ts DATA_PATH CONTROL_PATH

import { bytes, channel, lines, text } from "../../framing/mod.ts";
import { connectUnix } from "../../socket/mod.ts";

const [dataPath, controlPath] = Deno.args;
await using data = channel<Uint8Array>(await connectUnix({ path: dataPath }), {
  codec: bytes,
});
await using control = channel<string>(
  await connectUnix({ path: controlPath }),
  { format: lines(), codec: text },
);
const before = Deno.memoryUsage().rss;
await control.receive();
let count = 0, total = 0, peak = 0;
for await (const message of data) {
  total += message.length;
  if (++count % 100 === 0) {
    peak = Math.max(peak, Deno.memoryUsage().rss - before);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
await control.send(JSON.stringify({ count, total, peak }));
