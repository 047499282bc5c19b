// What a Unix socket costs here beside the runtime's own, both ends in one
// process. For figures between two processes see `socket_throughput.ts`.
//
//   deno bench -A bench/socket_bench.ts

import { connectUnix, listenUnix, peerCredentials } from "../socket/mod.ts";
import { benchTransport } from "./_transports.ts";

const directory = await Deno.makeTempDir();
const path = `${directory}/bench.sock`;
const runtimePath = `${directory}/runtime.sock`;
// The path is gone from here on; the connections and listeners stay.
globalThis.addEventListener("unload", () => {
  Deno.removeSync(directory, { recursive: true });
});

const own = await benchTransport({
  name: "connectUnix",
  listener: await listenUnix({ path }),
  connect: () => connectUnix({ path }),
  connectBare: () => Deno.connect({ transport: "unix", path }),
  runtimeListener: Deno.listen({ transport: "unix", path: runtimePath }),
  runtimeConnect: () => Deno.connect({ transport: "unix", path: runtimePath }),
});

Deno.bench("peerCredentials", { group: "who is there", baseline: true }, () => {
  peerCredentials(own);
});
