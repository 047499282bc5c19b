// Echoes lines over a Unix socket to programs of the same user; stops in order
// at Ctrl-C.
//
//   deno run -A examples/unix_echo_server.ts [path]
//   deno run -A examples/unix_echo_client.ts [path]

import {
  listenUnix,
  peerCredentials,
  serveConnections,
} from "@sluice/ipc/socket";

const [path = "/tmp/sluice-echo.sock"] = Deno.args;
const listener = await listenUnix({ path, allow: "same-user" });
const stop = new AbortController();
Deno.addSignalListener("SIGINT", () => stop.abort());
console.log(`listening on ${listener.address}`);

await serveConnections(listener, async (connection) => {
  const { pid } = peerCredentials(connection);
  console.log(`process ${pid} is there`);
  await connection.readable.pipeTo(connection.writable);
  console.log(`process ${pid} is done`);
}, { signal: stop.signal, graceTimeout: 1000 });
Deno.exit();
