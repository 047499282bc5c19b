// Expects no descriptor: reads as usual and counts what it has open.
import { connectUnix } from "../../socket/mod.ts";

const count = () => [...Deno.readDirSync("/proc/self/fd")].length;
await using connection = await connectUnix({ path: Deno.args[0] });
const reader = connection.readable.getReader();
await reader.read(); // so that all the runtime opens is open
const before = count();
console.log("ready");
let bytes = 0;
for (let part; !(part = await reader.read()).done;) bytes += part.value.length;
reader.releaseLock();
console.log(`${bytes} bytes, ${count() - before} descriptors`);
