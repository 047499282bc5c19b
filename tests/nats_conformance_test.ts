import { connectNats, listenNats } from "../nats/mod.ts";
import { conformance } from "./_conformance.ts";
import { hasNats, startNats } from "./_nats.ts";

conformance({
  name: "nats:",
  ignore: !hasNats,
  async pair() {
    const server = await startNats();
    const options = { server: server.address, subject: "conformance" };
    const listener = await listenNats(options);
    const [client, accepted] = await Promise.all([
      connectNats(options),
      listener.accept(),
    ]);
    return {
      client,
      server: accepted,
      async [Symbol.asyncDispose]() {
        await listener.close();
        await server.kill();
      },
    };
  },
});
