// Many producers to one consumer: the total rate of 1, 2 and 4 producers, which
// share one core, while the consumer has the other. The median of some rounds.
//
//   deno run -A bench/shm_queue.ts [rounds]

import { fileURLToPath } from "node:url";
import { SharedMemory, SharedQueue } from "../shm/mod.ts";

const rounds = Number(Deno.args[0] ?? 5);
const peer = fileURLToPath(new URL("peers/shm_queue.ts", import.meta.url));
const TOTAL = 2_000_000;
const SIZE = 64;
const CAPACITY = 256 * 1024;

function start(core: number, args: string[]): Promise<Deno.CommandOutput> {
  return new Deno.Command("taskset", {
    args: ["-c", String(core), Deno.execPath(), "run", "-A", "--no-check"]
      .concat(peer, args),
    stderr: "inherit",
  }).output();
}

/** Nanoseconds for each record. */
async function measure(producers: number): Promise<number> {
  const name = `sluice-bench-${crypto.randomUUID()}`;
  using memory = SharedMemory.create(name, {
    size: SharedQueue.byteLength(CAPACITY) + 64,
  });
  SharedQueue.create(memory, { capacity: CAPACITY });
  const count = String(TOTAL / producers);
  const outputs = await Promise.all([
    start(1, [name, "consume", count, String(SIZE), String(producers)]),
    ...Array.from(
      { length: producers },
      () => start(0, [name, "produce", count, String(SIZE)]),
    ),
  ]);
  if (outputs.some(({ success }) => !success)) throw new Error("a peer failed");
  return Number(new TextDecoder().decode(outputs[0].stdout));
}

const median = (values: number[]) =>
  values.toSorted((a, b) => a - b)[values.length >> 1];

const results = new Map<number, number[]>([[1, []], [2, []], [4, []]]);
for (let round = 0; round < rounds; round++) {
  for (const [producers, times] of results) {
    times.push(await measure(producers));
  }
}
const base = median(results.get(1)!);
console.log(`${SIZE}-byte records, median of ${rounds}`);
for (const [producers, times] of results) {
  const own = median(times);
  console.log(
    `${producers} producer${producers === 1 ? " " : "s"} ` +
      `${(1000 / own).toFixed(2).padStart(6)} million/s in all ` +
      `${(base / own).toFixed(2).padStart(6)}x`,
  );
}
