// Listens on a Unix socket and says how that went; echoes until it is killed.
import { listenUnix, serveConnections } from "../../socket/mod.ts";

const [path] = Deno.args;
try {
  const listener = await listenUnix({ path });
  console.log("listening");
  await serveConnections(
    listener,
    (connection) => connection.readable.pipeTo(connection.writable),
  );
} catch (error) {
  console.log((error as Error).name);
}
