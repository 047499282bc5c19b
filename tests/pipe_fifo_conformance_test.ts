import { connectFifo, listenFifo, mkfifo, openFifoPair } from "../pipe/mod.ts";
import { conformance } from "./_conformance.ts";

const ignore = Deno.build.os === "windows";

conformance({
  name: "fifo:/path",
  ignore,
  async pair() {
    const directory = await Deno.makeTempDir();
    const path = `${directory}/a`;
    const listener = await listenFifo({ path });
    const [client, server] = await Promise.all([
      connectFifo({ path }),
      listener.accept(),
    ]);
    return {
      client,
      server,
      async [Symbol.asyncDispose]() {
        await listener.close();
        await Deno.remove(directory, { recursive: true });
      },
    };
  },
});

conformance({
  name: "a pair of FIFOs",
  ignore,
  async pair() {
    const directory = await Deno.makeTempDir();
    const there = (await mkfifo(`${directory}/there`)).path;
    const back = (await mkfifo(`${directory}/back`)).path;
    const [client, server] = await Promise.all([
      openFifoPair({ readPath: back, writePath: there }),
      openFifoPair({ readPath: there, writePath: back }),
    ]);
    return {
      client,
      server,
      async [Symbol.asyncDispose]() {
        await Deno.remove(directory, { recursive: true });
      },
    };
  },
});
