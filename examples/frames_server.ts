// Answers frames of JSON: the peer in any language needs a socket and a
// 4-byte big-endian length. frames_peer.py is one in Python.
//
//   deno run -A examples/frames_server.ts [path]
//   python3 examples/frames_peer.py [path]

import { channel, json } from "@sluice/ipc/framing";
import { listenUnix, serveConnections } from "@sluice/ipc/socket";

interface Question {
  numbers: number[];
}

const [path = "/tmp/sluice-frames.sock"] = Deno.args;
const listener = await listenUnix({ path });
Deno.addSignalListener("SIGINT", () => listener.close()); // removes the socket
console.log(`listening on ${listener.address}`);

await serveConnections(listener, async (connection) => {
  const peer = channel<Question, { sum: number }>(connection, {
    codec: json,
    validate: { in: (message) => Array.isArray((message as Question).numbers) },
  });
  for await (const { numbers } of peer) {
    await peer.send({ sum: numbers.reduce((a, b) => a + b, 0) });
  }
  await peer.close();
});
