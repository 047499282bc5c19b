// Talks over a Unix socket, then asks for what needs FFI.
import { connectUnix, listenUnix, peerCredentials } from "../../socket/mod.ts";

const [path] = Deno.args;
const listener = await listenUnix({ path });
const client = await connectUnix({ path });
const server = await listener.accept();
await client.writable.getWriter().write(new Uint8Array(5));
const { value } = await server.readable.getReader().read();
console.log("received", value?.length);
try {
  console.log("pid", peerCredentials(server).pid);
} catch (error) {
  console.log(String(error));
}
try {
  await listenUnix({ path: `${path}2`, allow: "same-user" });
  console.log("allowed");
} catch (error) {
  console.log(String(error));
}
Deno.exit();
