// Serves over `unix:path`, `shm:path` or its stdio until it is killed.

import { serve } from "../../rpc/mod.ts";
import { listenShm } from "../../shm/mod.ts";
import { listenUnix } from "../../socket/mod.ts";

/** What the tests call in this process. */
export const handlers = {
  add: (a: number, b: number) => a + b,
  pid: () => Deno.pid,
  never: () => new Promise<never>(() => {}),
  async *count() {
    for (let n = 0;; n++) yield n;
  },
  echo: (bytes: Uint8Array) => bytes,
};

if (import.meta.main) {
  const [kind, path] = Deno.args;
  if (kind === "stdio") {
    await serve(
      { readable: Deno.stdin.readable, writable: Deno.stdout.writable },
      handlers,
    ).closed;
  } else {
    const listener = kind === "shm"
      ? await listenShm({ path })
      : await listenUnix({ path });
    serve(listener, handlers);
    console.log("ready");
  }
}
