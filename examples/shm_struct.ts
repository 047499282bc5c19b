// State that one process keeps and another looks at: counters that both change,
// and a position that is never seen half written.
//
//   deno run --allow-ffi --allow-run examples/shm_struct.ts

import { SeqLock, SharedMemory, struct } from "@sluice/ipc/shm";

const Stats = struct({
  reads: "atomic_u64", // C: _Atomic uint64_t
  writes: "atomic_u64",
  writer: "char[16]",
});
const Position = struct({ x: "f64", y: "f64", step: "u32" });

// The lock with its struct lies behind the counters, at a multiple of 128.
const offset = 128;
const size = offset + SeqLock.byteLength(Position);

if (Deno.args.length === 0) {
  const name = `struct-${crypto.randomUUID()}`;
  using memory = SharedMemory.create(name, { size });
  const stats = Stats.view(memory);
  const position = SeqLock.create(memory, Position, { offset });
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-ffi", import.meta.filename!, name],
  }).spawn();

  let running = true;
  const ended = child.status.then(() => running = false);
  while (running) {
    const { x, y, step } = position.read(); // all of one moment
    if (y !== -x || x !== step / 2) {
      throw new Error(`torn: ${x}, ${y}, ${step}`);
    }
    stats.reads.add(1n);
    await new Promise((resolve) => setTimeout(resolve));
  }
  await ended;
  console.log(`${stats.writer} wrote ${stats.writes.load()} times`);
  console.log("last position", position.read());
  if (stats.reads.load() === 0n) throw new Error("nothing was read");
} else {
  using memory = SharedMemory.open(Deno.args[0]);
  const stats = Stats.view(memory);
  const position = SeqLock.open(memory, Position, { offset });
  stats.writer = "the child";
  for (let step = 1; step <= 200_000; step++) {
    position.write({ x: step / 2, y: -step / 2, step });
    stats.writes.add(1n);
  }
}
