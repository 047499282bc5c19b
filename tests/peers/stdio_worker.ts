// Reads its stdin to the end and answers, with a stray line in between.
import { openStdio } from "../../pipe/mod.ts";

await using parent = openStdio();
let length = 0;
for await (const chunk of parent.readable) length += chunk.length;
console.log("a stray line");
let second = "opened";
try {
  openStdio();
} catch (error) {
  second = (error as Error).name;
}
const writer = parent.writable.getWriter();
await writer.write(
  new TextEncoder().encode(`got ${length} bytes, ${second}\n`),
);
