// A chat: what one says, all others read. Try it with `nc 127.0.0.1 9000`.
//
//   deno run -A examples/tcp_chat.ts [port]

import { type Channel, channel, lines, text } from "@sluice/ipc/framing";
import { listenTcp, serveConnections } from "@sluice/ipc/tcp";

const listener = await listenTcp({ port: Number(Deno.args[0] ?? 9000) });
console.log(`listening on ${listener.address}`);
const present = new Map<string, Channel<string, string>>();

function tellOthers(from: string, said: string): void {
  for (const [name, other] of present) {
    // Whoever reads too slowly misses lines rather than holding up the rest.
    if (name !== from) other.trySend(`${from}: ${said}`);
  }
}

await serveConnections(listener, async (connection) => {
  const chat = channel<string>(connection, {
    format: lines(),
    codec: text,
    maxFrameLength: 1024,
  });
  await chat.send("your name?");
  const name = await chat.receive({ timeout: 60_000 });
  present.set(name, chat);
  chat.trySend(`welcome, ${name}`);
  try {
    tellOthers(name, "is here");
    for await (const line of chat) tellOthers(name, line);
  } finally {
    present.delete(name);
    tellOthers(name, "has left");
  }
  await chat.close();
}, { maxConnections: 100, onError: (error) => console.error(String(error)) });
