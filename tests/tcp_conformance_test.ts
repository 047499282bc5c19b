import { connectTcp, listenTcp } from "../tcp/mod.ts";
import { conformance } from "./_conformance.ts";

conformance({
  name: "tcp:",
  async pair() {
    const listener = await listenTcp();
    const [client, server] = await Promise.all([
      connectTcp(listener),
      listener.accept(),
    ]);
    return {
      client,
      server,
      [Symbol.asyncDispose]: () => listener.close(),
    };
  },
});
