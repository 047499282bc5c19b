// One producer or the consumer of the queue in bench/shm_queue.ts.
//
//   shm_queue.ts NAME produce|consume COUNT SIZE

import { SharedMemory, SharedQueue } from "../../shm/mod.ts";

const [name, role, countText, sizeText] = Deno.args;
const count = Number(countText);
using memory = SharedMemory.open(name);
const queue = SharedQueue.open(memory);
const go = new Int32Array(memory.buffer, memory.buffer.byteLength - 8, 2);
const buffer = new Uint8Array(Number(sizeText)).fill(7);
const warmUp = 20_000;

if (role === "produce") {
  using producer = queue.producer();
  const send = async (n: number) => {
    for (; n > 0; n--) {
      // Producers that share a core must leave it to each other when it is full.
      if (!producer.tryWrite(buffer)) await producer.write(buffer);
    }
  };
  await send(warmUp);
  Atomics.add(go, 1, 1);
  while (Atomics.load(go, 0) === 0) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await send(count);
} else {
  using consumer = queue.consumer();
  const producers = Number(Deno.args[4]);
  const receive = (n: number) => {
    while (n > 0) if (consumer.tryRead(buffer) >= 0) n--;
  };
  receive(warmUp * producers);
  while (Atomics.load(go, 1) < producers);
  const started = performance.now();
  Atomics.store(go, 0, 1);
  receive(count * producers);
  console.log((performance.now() - started) / (count * producers) * 1e6);
}
