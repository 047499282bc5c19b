import { fileURLToPath } from "node:url";
import { connectExec } from "../pipe/mod.ts";
import { listenUnix } from "../socket/mod.ts";
import { conformance } from "./_conformance.ts";

const relay = fileURLToPath(new URL("peers/stdio_relay.ts", import.meta.url));

// The other end of exec: is a stdio: of ours, in a process of its own, which
// hands every byte to the test over a Unix socket. It has FFI also where this
// side has none: without, it could not end its stdout before it exits.
conformance({
  name: "exec:",
  ignore: Deno.build.os !== "linux",
  async pair() {
    const directory = await Deno.makeTempDir();
    const path = `${directory}/a.sock`;
    const listener = await listenUnix({ path });
    const client = await connectExec({
      command: [Deno.execPath(), "run", "-A", "--no-check", relay, path],
      exitTimeout: 500,
    });
    const server = await listener.accept();
    return {
      client,
      server,
      async [Symbol.asyncDispose]() {
        client.abort();
        await client.status;
        await listener.close();
        await Deno.remove(directory, { recursive: true });
      },
    };
  },
});
