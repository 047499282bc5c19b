// Echoes over a Unix socket until it is killed.
import { listenUnix, serveConnections } from "../../socket/mod.ts";

const listener = await listenUnix({ path: Deno.args[0] });
console.log("listening");
await serveConnections(
  listener,
  (connection) => connection.readable.pipeTo(connection.writable),
  { onError() {} },
);
