// A server that is killed again and again. It writes each message to a journal,
// with its session and its number: what was handled, and that it was, in one write.
//
//   reliable_server.ts SOCKET JOURNAL
//
// It waits for a line, so that it can be started ahead of time, then listens.

import { reliableListener } from "../../delivery/mod.ts";
import { listenUnix } from "../../socket/mod.ts";

const [path, journalPath] = Deno.args;
await Deno.stdin.read(new Uint8Array(16));

const handled = new Map<string, number>();
for (const line of Deno.readTextFileSync(journalPath).split("\n")) {
  const [session, sequence] = line.split(" ");
  if (sequence !== undefined) handled.set(session, Number(sequence) + 1);
}
const journal = Deno.openSync(journalPath, { append: true });
const encoder = new TextEncoder();

const listener = reliableListener<number>(await listenUnix({ path }), {
  store: { load: (session) => handled.get(session) },
});
console.log("ready");
for await (const session of listener) {
  session.handle((message, { sessionId, sequence }) => {
    journal.writeSync(encoder.encode(`${sessionId} ${sequence} ${message}\n`));
  }).catch(() => {}); // the client went away
}
