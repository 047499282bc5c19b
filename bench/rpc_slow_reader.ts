// What a reader that takes a thousand items a second costs a source that could
// give millions, in memory of both:
//
//   deno run -A --v8-flags=--expose-gc bench/rpc_slow_reader.ts

import { client, serve } from "../rpc/mod.ts";
import { connectUnix, listenUnix } from "../socket/mod.ts";

const SECONDS = 10;

/** Resident bytes of this process, once garbage is gone. */
async function resident(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    (globalThis as { gc?: () => void }).gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return Deno.memoryUsage().rss;
}

let made = 0;
const handlers = {
  resident,
  made: () => made,
  async *items() {
    for (;;) {
      made++;
      yield { at: made, text: "x".repeat(1_000) };
    }
  },
};

if (Deno.args.length > 0) {
  serve(await listenUnix({ path: Deno.args[0] }), handlers);
  console.log("ready");
} else {
  const path = `${await Deno.makeTempDir()}/rpc.sock`;
  const server = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--v8-flags=--expose-gc", import.meta.url, path],
    stdout: "piped",
  }).spawn();
  await server.stdout.getReader().read();
  const api = client<typeof handlers>(await connectUnix({ path }));
  const start = performance.now();
  let read = 0;
  let next = 1;
  for await (const _ of api.items()) {
    if (++read % 10 === 0) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const seconds = (performance.now() - start) / 1000;
    if (seconds < next) continue;
    next = Math.floor(seconds) + 3;
    const mebibytes = [await api.resident(), await resident()]
      .map((bytes) => (bytes / 2 ** 20).toFixed(1));
    console.log(
      `${seconds.toFixed(0)} s: ${read} read of ${await api.made()} made, ` +
        `server ${mebibytes[0]} MiB, client ${mebibytes[1]} MiB`,
    );
    if (seconds > SECONDS) break;
  }
  server.kill("SIGKILL");
  Deno.exit();
}
