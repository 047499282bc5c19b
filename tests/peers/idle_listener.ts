// Listens at an address, serves itself once, and then waits for nobody: the
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
console.log("served");
// It is still there: what goes is not collected as garbage.
Object.assign(globalThis, { listener });
