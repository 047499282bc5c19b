// What a thousand idle clients cost their server, and themselves, in memory:
//
//   deno run -A --v8-flags=--expose-gc bench/rpc_idle_clients.ts
//
// Resident memory is read after a garbage collection, before and after they
// connect and make a call each. As many have come and gone before, so that what
// the runtime keeps of its own growth is not counted.

import { client, serve } from "../rpc/mod.ts";
import { connectUnix, listenUnix } from "../socket/mod.ts";

const CLIENTS = 1_000;

/** Resident bytes of this process, once garbage is gone. */
async function resident(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    (globalThis as { gc?: () => void }).gc?.();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return Deno.memoryUsage().rss;
}

const handlers = { resident };
type Handlers = typeof handlers;

if (Deno.args.length > 0) {
  serve(await listenUnix({ path: Deno.args[0], backlog: 1_024 }), handlers);
  console.log("ready");
} else {
  const path = `${await Deno.makeTempDir()}/rpc.sock`;
  const server = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--v8-flags=--expose-gc", import.meta.url, path],
    stdout: "piped",
  }).spawn();
  await server.stdout.getReader().read();
  const observer = client<Handlers>(await connectUnix({ path }));
  const connect = async () => {
    const api = client<Handlers>(await connectUnix({ path }));
    await api.$session.ping();
    return api;
  };
  for (let n = 0; n < CLIENTS; n++) await (await connect()).$session.close();
  const before = [await observer.resident(), await resident()];
  const clients: unknown[] = [];
  while (clients.length < CLIENTS) clients.push(await connect());
  const after = [await observer.resident(), await resident()];
  for (const [index, side] of ["server", "client"].entries()) {
    const each = (after[index] - before[index]) / CLIENTS / 1024;
    console.log(
      `${side}: ${
        each.toFixed(1)
      } KiB for each of ${clients.length} idle clients`,
    );
  }
  server.kill("SIGKILL");
  Deno.exit();
}
