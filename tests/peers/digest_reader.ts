// Connects to a port, reads slowly to the end, and prints the SHA-256.
import { connectTcp } from "../../tcp/mod.ts";

await using connection = await connectTcp({ port: Number(Deno.args[0]) });
const chunks: Uint8Array[] = [];
let total = 0;
for await (const chunk of connection.readable) {
  chunks.push(chunk);
  if (total >> 19 !== (total += chunk.length) >> 19) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
const all = new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
const hash = await crypto.subtle.digest("SHA-256", all);
console.log(new Uint8Array(hash).toHex());
