// Listens at an address, serves itself once, gives up waiting for another: the
// program has nothing left to do. Options of listen and connect come as JSON.

import { connect, listen } from "../../mod.ts";

const [address, listenOptions = "{}", connectOptions = "{}"] = Deno.args;
const listener = await listen(address, JSON.parse(listenOptions));
const accepting = listener.accept(); // only this keeps the program until then
setTimeout(async () => {
  const client = await connect(listener.address, JSON.parse(connectOptions));
  client.abort();
}, 10);
(await accepting).abort();
const stop = new AbortController();
const given = listener.accept({ signal: stop.signal });
const again = listener.accept({ signal: stop.signal });
stop.abort();
await Promise.allSettled([given, again]); // who gave up waits no more
console.log("served");
// It is still there: what goes is not collected as garbage.
Object.assign(globalThis, { listener });
