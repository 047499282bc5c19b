import { connectShm, listenShm } from "../shm/mod.ts";
import { conformance } from "./_conformance.ts";
import { noShm } from "./_shm.ts";

for (const capacity of [1024, 262144]) {
  conformance({
    name: `shm:/path with ${capacity} bytes each way`,
    ignore: noShm,
    async pair() {
      const directory = await Deno.makeTempDir();
      const path = `${directory}/a.sock`;
      const listener = await listenShm({ path, capacity });
      const [client, server] = await Promise.all([
        connectShm({ path }),
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
}
