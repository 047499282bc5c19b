// Two processes and a ring: this one starts a second one, which writes a million
// records that this one reads.
//
//   deno run --allow-ffi --allow-run examples/shm_ring.ts

import { Ring, SharedMemory } from "@sluice/ipc/shm";

const capacity = 64 * 1024;
const count = 1_000_000;

if (Deno.args.length === 0) {
  const name = `ring-${crypto.randomUUID()}`;
  using memory = SharedMemory.create(name, { size: Ring.byteLength(capacity) });
  using reader = Ring.create(memory, { capacity }).reader();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-ffi", import.meta.filename!, name],
  }).spawn();

  let received = 0;
  let sum = 0;
  const started = performance.now();
  for await (const record of reader) { // ends when the writer closes
    received++;
    sum += new DataView(record.buffer).getFloat64(0, true);
  }
  const seconds = (performance.now() - started) / 1000;
  console.log(`${received} records, sum ${sum}`);
  console.log(`${(received / seconds / 1e6).toFixed(1)} million/s`);
  await child.status;
} else {
  using memory = SharedMemory.open(Deno.args[0]);
  using writer = Ring.open(memory).writer();
  const record = new Uint8Array(8); // reused: faster than a new one each time
  const view = new DataView(record.buffer);
  for (let i = 0; i < count; i++) {
    view.setFloat64(0, i, true);
    // The fast way where there is room; else wait for it.
    if (!writer.tryWrite(record)) await writer.write(record);
  }
}
