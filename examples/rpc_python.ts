// Serves a Python program that knows only `socket` and `msgpack`, and calls it
// back over the same connection.
//
//   pip install msgpack
//   deno run -A examples/rpc_python.ts

import { type Context, serve } from "@sluice/ipc/rpc";
import { listenUnix } from "@sluice/ipc/socket";

const directory = await Deno.makeTempDir();
await using cleanup = new AsyncDisposableStack();
cleanup.defer(() => Deno.remove(directory, { recursive: true }));
const path = `${directory}/rpc.sock`;
await using _server = serve(await listenUnix({ path }), {
  add: (a: number, b: number) => a + b,
  async greet(this: Context, name: string) {
    const python = this.client<{ shout(text: string): string }>();
    return await python.shout(`hello ${name}`);
  },
});

const script = `${import.meta.dirname}/rpc_python.py`;
await new Deno.Command("python3", { args: [script, path] }).spawn().status;
