// Notes each call in a file, over `unix:path` or `shm:path`, until it is killed.

import { serve } from "../../rpc/mod.ts";
import { listenShm } from "../../shm/mod.ts";
import { listenUnix } from "../../socket/mod.ts";

const [kind, path, log] = Deno.args;

/** What the tests call in this process. */
export const handlers = {
  note(id: number) {
    Deno.writeTextFileSync(log, `${id}\n`, { append: true });
    return id;
  },
  double: (n: number) => 2 * n,
  async *ticks() {
    for (let n = 0;; n++) {
      yield n;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  },
};

if (import.meta.main) {
  serve(
    kind === "shm" ? await listenShm({ path }) : await listenUnix({ path }),
    handlers,
  );
  console.log("ready");
}
