// Receives connections over a Unix socket and echoes on each.
import { connectUnix, receiveDescriptor } from "../../socket/mod.ts";

await using boss = await connectUnix({ path: Deno.args[0] });
console.log("ready");
for (;;) {
  const message = await receiveDescriptor(boss).catch(() => undefined);
  if (message === undefined) break;
  for (const descriptor of message.descriptors) {
    const connection = descriptor.connection();
    await connection.readable.pipeTo(connection.writable);
    await connection.close();
    console.log("served", connection.remote);
  }
}
