// Serves one connection of the listener that it was started with, gives up
// waiting for another, and has nothing left to do.
import { inheritedListeners } from "../../socket/mod.ts";

const [listener] = inheritedListeners();
console.log("ready");
(await listener.accept()).abort();
await listener.accept({ signal: AbortSignal.timeout(10) }).catch(() => {});
console.log("served");
Object.assign(globalThis, { listener }); // not collected as garbage
