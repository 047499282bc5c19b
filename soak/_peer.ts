// A server, or a client that will be killed: see `_start.ts`.

import { connect, listen, serveConnections } from "../mod.ts";
import { answer, converse } from "./_talk.ts";

const [role, address, options] = Deno.args;
// Standard input ends when the soak is over, or dead.
if (address !== "stdio:") {
  Deno.stdin.readable.pipeTo(new WritableStream()).then(() => Deno.exit());
}
if (role === "serve" && address === "stdio:") {
  await answer(await connect(address));
} else if (role === "serve") {
  const listener = await listen(address, JSON.parse(options));
  console.log(listener.address);
  // Clients that are killed are what this is about.
  await serveConnections(listener, answer, { onError: () => {} });
} else {
  console.log("talking");
  for (;;) {
    await converse(address, JSON.parse(options), 100, {
      messages: 0,
      bytes: 0,
    });
  }
}
