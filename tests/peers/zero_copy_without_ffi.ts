// Sends a file and passes it on, with no ffi: says which way it went.
import { connectTcp, listenTcp, sendFile, splice } from "../../tcp/mod.ts";

await using listener = await listenTcp();
await using source = await connectTcp(listener);
await using from = await listener.accept();
await using to = await connectTcp(listener);
await using sink = await listener.accept();
const file = import.meta.filename!;
const content = await Deno.readFile(file);
const received = new Response(sink.readable as BodyInit).bytes();
const spliced = splice(from, to);
let zeroCopy = false;
for (let round = 0; round < 100; round++) {
  zeroCopy ||= (await sendFile(source, file)).zeroCopy;
}
await source.writable.close();
const { bytes, moved } = await spliced;
if (bytes !== content.length * 100) throw new Error(`passed on ${bytes}`);
if ((await received).length !== bytes) throw new Error("lost some");
console.log(`sendFile ${zeroCopy}, splice ${moved} moved`);
