// The second process of the demo: hashes what it is sent. It listens on the
// address in its first argument, and says where on standard output, or talks
// over "stdio:".

import { connect, type Connection, listen, serveConnections } from "../mod.ts";
import { channel } from "../framing/mod.ts";
import {
  type Answer,
  answerOf,
  MAX_FILE_SIZE,
  type Request,
} from "./_protocol.ts";

const [address, options = "{}"] = Deno.args;
if (address === "stdio:") await work(await connect(address));
else {
  const listener = await listen(address, JSON.parse(options));
  const stop = new AbortController();
  console.log(listener.address);
  const serving = serveConnections(listener, work, { signal: stop.signal });
  // Standard input ends when the parent is done with us, or is dead.
  await Deno.stdin.readable.pipeTo(new WritableStream());
  stop.abort();
  await serving;
}

/** Answers one connection's requests, in order, until the peer ends. */
async function work(connection: Connection): Promise<void> {
  await using peer = channel<Request, Answer | Uint8Array | number>(
    connection,
    { maxFrameLength: MAX_FILE_SIZE + 4096 },
  );
  let echo = false;
  let counted = 0;
  for await (const request of peer) {
    if (request instanceof Uint8Array) {
      if (echo) await peer.send(request);
      else counted += request.length;
    } else if (request.kind === "file") {
      await peer.send(await answerOf(request.path, request.data));
    } else if (request.kind === "mode") {
      echo = request.mode === "echo";
    } else {
      await peer.send(counted);
      counted = 0;
    }
  }
}
