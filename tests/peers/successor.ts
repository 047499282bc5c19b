// Serves an address until another process of this program takes over. Each
// answer is its generation.
//
//   successor.ts CONTROL_SOCKET GENERATION [ADDRESS]
import {
  connectUnix,
  handOver,
  listenUnix,
  receiveListener,
} from "../../socket/mod.ts";
import { listenTcp } from "../../tcp/mod.ts";
import { serveConnections } from "../../tcp/mod.ts";

const [control, generation, address] = Deno.args;
const listener = address === undefined
  ? await take()
  : address.startsWith("tcp:")
  ? await listenTcp()
  : await listenUnix({ path: address.slice(5) });

async function take() {
  await using predecessor = await connectUnix({ path: control, retry: true });
  return await receiveListener(predecessor);
}

const answer = new TextEncoder().encode(generation);
const served = serveConnections(listener, async (connection) => {
  const writer = connection.writable.getWriter();
  for await (const _ of connection.readable) await writer.write(answer);
  writer.releaseLock();
});
// The predecessor's control socket has to be gone before ours can be there.
const controller = await listenWhenFree(control);
console.log(listener.address);

const successor = await controller.accept();
await controller.close();
await handOver(listener, successor);
await successor.close();
console.log("handed over");
await served;
console.log("done");

async function listenWhenFree(path: string) {
  for (;;) {
    try {
      return await listenUnix({ path });
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
