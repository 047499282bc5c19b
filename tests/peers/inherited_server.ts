// Serves the listeners that it was started with: each answer names the listener.
import { inheritedListeners, serveConnections } from "../../socket/mod.ts";

const listeners = inheritedListeners();
const again = inheritedListeners().length +
  Number(Deno.env.has("LISTEN_FDS"));
console.log(
  "ready",
  again,
  ...listeners.map(({ name, address }) => `${name}=${address}`),
);
await Promise.all(
  listeners.map((listener) =>
    serveConnections(listener, async (connection) => {
      const writer = connection.writable.getWriter();
      await writer.write(new TextEncoder().encode(listener.name));
      writer.releaseLock();
      await connection.readable.pipeTo(connection.writable);
    })
  ),
);
