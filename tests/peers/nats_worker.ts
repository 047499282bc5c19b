// A worker of a queue group: serves RPC on a subject, and says its pid.
// Usage: nats_worker.ts <server> <subject>

import { listenNats } from "../../nats/mod.ts";
import { serve } from "../../rpc/mod.ts";

const [server, subject] = Deno.args;
const listener = await listenNats({ server, subject });
console.log("ready");
serve(listener, {
  pid: () => Deno.pid,
  add: (a: number, b: number) => a + b,
  echo: (data: Uint8Array) => data,
  wait: () => new Promise<never>(() => {}),
  async *count(to: number) {
    for (let n = 0; n < to; n++) yield n;
  },
});
