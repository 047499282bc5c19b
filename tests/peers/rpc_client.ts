// Opens a call, a stream and a callback at a server, then waits to be killed.

import { client } from "../../rpc/mod.ts";
import { connectShm } from "../../shm/mod.ts";
import { connectUnix } from "../../socket/mod.ts";

interface Watched {
  hold(): void;
  numbers(): AsyncGenerator<number>;
  keep(callback: () => Promise<void>): void;
}

const [kind, path] = Deno.args;
const api = client<Watched>(
  kind === "shm" ? await connectShm({ path }) : await connectUnix({ path }),
);
await api.keep(() => {});
const stream = await api.numbers();
await stream.next();
const held = api.hold();
await api.$session.ping(); // answered after the call has begun
console.log("ready");
await held;
