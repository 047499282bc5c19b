import { connectUnix, listenUnix } from "../socket/mod.ts";
import { conformance, type Pair } from "./_conformance.ts";

async function pair(path: string, directory?: string): Promise<Pair> {
  const listener = await listenUnix({ path });
  const [client, server] = await Promise.all([
    connectUnix({ path }),
    listener.accept(),
  ]);
  return {
    client,
    server,
    async [Symbol.asyncDispose]() {
      await listener.close();
      if (directory) await Deno.remove(directory, { recursive: true });
    },
  };
}

conformance({
  name: "unix:/path",
  ignore: Deno.build.os === "windows",
  async pair() {
    const directory = await Deno.makeTempDir();
    return await pair(`${directory}/a.sock`, directory);
  },
});

conformance({
  name: "unix:@name",
  ignore: Deno.build.os !== "linux",
  pair: () => pair(`@sluice-${crypto.randomUUID()}`),
});
