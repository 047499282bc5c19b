// Forgets leases of a pool, and waits until the garbage collector finds them.
import { connectTcp, createPool, listenTcp } from "../../tcp/mod.ts";

await using listener = await listenTcp();
(async () => {
  for await (const _ of listener);
})();
const pool = createPool(
  ({ signal }) => connectTcp({ port: listener.port, signal, lingerTimeout: 0 }),
  { max: 1 },
);

async function forget(): Promise<void> {
  await pool.acquire();
}

const collect = (globalThis as unknown as { gc(): void }).gc;
for (let round = 0; round < 10; round++) {
  await forget();
  while (pool.counters().leased > 0) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    collect();
  }
}
const { lost, leased } = pool.counters();
console.log(`lost ${lost}, leased ${leased}`);
await pool.drain();
Deno.exit(0);
