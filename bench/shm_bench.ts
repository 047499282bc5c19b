// What shared memory costs in one process: no other core, no wake-ups.
//
//   deno bench -A bench/shm_bench.ts

import {
  Broadcast,
  Ring,
  SeqLock,
  SharedMemory,
  SharedMutex,
  SharedQueue,
  struct,
} from "../shm/mod.ts";

const capacity = 64 * 1024;
const payload = new Uint8Array(64).fill(7);
const into = new Uint8Array(4096);
const BATCH = 32;

{
  const group = "a record of 64 bytes, written and read";
  const memory = SharedMemory.anonymous({ size: Ring.byteLength(capacity) });
  const ring = Ring.create(memory, { capacity });
  const writer = ring.writer();
  const reader = ring.reader();
  const lengths = new Int32Array(BATCH);

  Deno.bench({
    name: "Ring, tryWrite and tryRead",
    group,
    baseline: true,
    fn() {
      writer.tryWrite(payload);
      reader.tryRead(into);
    },
  });

  Deno.bench({
    name: "Ring, in place",
    group,
    fn() {
      const view = writer.tryReserve(64)!;
      view[0] = 1;
      writer.commit();
      if (reader.tryPeek()![0] !== 1) throw new Error("wrong record");
      reader.release();
    },
  });

  Deno.bench({
    name: "Ring, await write and read",
    group,
    async fn() {
      await writer.write(payload);
      await reader.read();
    },
  });

  const queueMemory = SharedMemory.anonymous({
    size: SharedQueue.byteLength(capacity),
  });
  const queue = SharedQueue.create(queueMemory, { capacity });
  const producer = queue.producer();
  const consumer = queue.consumer();
  Deno.bench({
    name: "SharedQueue",
    group,
    fn() {
      producer.tryWrite(payload);
      consumer.tryRead(into);
    },
  });

  const newsMemory = SharedMemory.anonymous({
    size: Broadcast.byteLength(capacity),
  });
  const news = Broadcast.create(newsMemory, { capacity });
  const sender = news.sender();
  const receiver = news.receiver();
  Deno.bench({
    name: "Broadcast",
    group,
    fn() {
      sender.send(payload);
      receiver.tryRead(into);
    },
  });

  const batch = Array.from({ length: BATCH }, () => payload);
  Deno.bench({
    name: "Ring, one after the other",
    group: `${BATCH} records of 64 bytes`,
    baseline: true,
    fn() {
      for (let i = 0; i < BATCH; i++) writer.tryWrite(payload);
      for (let i = 0; i < BATCH; i++) reader.tryRead(into);
    },
  });

  Deno.bench({
    name: "Ring, tryWriteMany and tryReadMany",
    group: `${BATCH} records of 64 bytes`,
    fn() {
      writer.tryWriteMany(batch);
      reader.tryReadMany(into, lengths);
    },
  });
}

{
  const group = "a lock, taken and given back";
  const memory = SharedMemory.anonymous({ size: SharedMutex.byteLength });
  const mutex = SharedMutex.create(memory);
  Deno.bench({
    name: "tryLock",
    group,
    baseline: true,
    fn: () => mutex.tryLock()!.release(),
  });
  Deno.bench({
    name: "await lock",
    group,
    fn: async () => (await mutex.lock()).release(),
  });
}

{
  const group = "a struct of 4 members";
  const State = struct({ x: "f64", y: "f64", count: "u32", ok: "bool" });
  const memory = SharedMemory.anonymous({
    size: SeqLock.byteLength(State) + State.size,
  });
  const view = State.view(memory, { offset: SeqLock.byteLength(State) });
  const seqlock = SeqLock.create(memory, State);
  const values = { x: 1, y: 2, count: 3, ok: true };
  Deno.bench({
    name: "view, one member read and set",
    group,
    baseline: true,
    fn: () => void (view.count = (view.count + 1) >>> 0),
  });
  Deno.bench({
    name: "SeqLock.write",
    group,
    fn: () => seqlock.write(values),
  });
  Deno.bench({ name: "SeqLock.read", group, fn: () => void seqlock.read() });
}
