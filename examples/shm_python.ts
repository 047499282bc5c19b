// A Python program that knows only `mmap` and `struct` reads from one ring and
// answers through another: docs/shm-layout.md is all that it needs.
//
//   deno run --allow-ffi --allow-run examples/shm_python.ts

import { Ring, SharedMemory } from "@sluice/ipc/shm";

const capacity = 4096;
const offset = Ring.byteLength(capacity); // the second ring follows the first
const name = `python-${crypto.randomUUID()}`;
using memory = SharedMemory.create(name, { size: 2 * offset });
using requests = Ring.create(memory, { capacity }).writer();
using answers = Ring.create(memory, { capacity, offset }).reader();

const script = `${import.meta.dirname}/shm_python.py`;
const python = new Deno.Command("python3", { args: [script, name] }).spawn();

const encoder = new TextEncoder();
const decoder = new TextDecoder();
for (const text of ["shared", "memory", "is fast"]) {
  await requests.write(encoder.encode(text));
  // A killed peer is noticed: `read` rejects instead of waiting for ever.
  const answer = await answers.read({ timeout: 10_000 });
  console.log(text, "->", decoder.decode(answer!));
}
requests.close(); // Python sees the end
await python.status;
