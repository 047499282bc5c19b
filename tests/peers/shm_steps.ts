// Does one of everything in shared memory and kills itself at a given step, so
// that a test can end it between every two accesses to the segment.
//
//   shm_steps.ts NAME PLACES STEP
//
// Views of the segment are proxies here that count each access; the modules
// under test are the real ones. STEP 0 goes to the end and prints the count.

import * as shm from "../../shm/mod.ts";

const [name, placesText, fatalText] = Deno.args;
const at = JSON.parse(placesText);
const fatal = Number(fatalText);
const memory = shm.SharedMemory.open(name);
const buffer = memory.buffer;

let steps = 0;
function step(): void {
  if (++steps === fatal) Deno.kill(Deno.pid, "SIGKILL");
}

type Bytes = Uint8Array<ArrayBuffer>;
const plain = new WeakMap<object, ArrayBufferView>();

function counted<T extends ArrayBufferView>(array: T): T {
  const proxy = new Proxy(array, {
    get(target, key) {
      if (typeof key === "string" && /^\d+$/.test(key)) step();
      const value = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      if (key !== "set") return value.bind(target);
      // Copies may stop in the middle.
      return (source: Bytes, to = 0) => {
        const half = source.length >> 1;
        step();
        value.call(target, source.subarray(0, half), to);
        step();
        value.call(target, source.subarray(half), to + half);
      };
    },
    set(target, key, value) {
      step();
      return Reflect.set(target, key, value, target);
    },
  });
  plain.set(proxy, array);
  return proxy;
}

for (const view of ["Int32Array", "Uint8Array", "BigInt64Array"] as const) {
  const View = globalThis[view];
  Object.defineProperty(globalThis, view, {
    value: new Proxy(View, {
      construct(_, args) {
        const array = Reflect.construct(View, args);
        return args[0] === buffer ? counted(array) : array;
      },
    }),
  });
}
for (const name of Object.getOwnPropertyNames(Atomics)) {
  const call = Reflect.get(Atomics, name);
  Reflect.set(Atomics, name, (array: object, ...rest: unknown[]) => {
    const target = plain.get(array);
    if (target !== undefined) step();
    return call(target ?? array, ...rest);
  });
}

const record = (id: number, length: number) =>
  new Uint8Array(length).fill(id) as Bytes;
const into = new Uint8Array(512);
const lengths = [0, 0];
const place = (name: string) => ({ offset: at[name] });
/** Runs a part and prints how far it came, for whoever reads the output. */
const ends: Record<string, number> = {};
const part = (name: string, run: () => void) => {
  run();
  ends[name] = steps;
};

part("write to a ring", () => {
  const writer = shm.Ring.open(memory, place("inbound")).writer();
  const again = record(1, 8);
  for (let i = 0; i < 4; i++) writer.tryWrite(again);
  writer.tryWriteMany([again, again]);
  // A batch after a batch goes another way.
  writer.tryWriteMany([record(2, 5), record(3, 16)]);
  const view = writer.tryReserve(40); // over the ring's end
  view?.fill(4);
  writer.commit(33);
  writer.close();
});
part("read from a ring", () => {
  const reader = shm.Ring.open(memory, place("outbound")).reader();
  reader.tryRead(into);
  reader.tryReadMany(into, lengths);
  reader.tryPeek();
  reader.release();
  reader.tryReadBytes(into.subarray(0, 50));
  reader.close();
});
part("write to a queue", () => {
  const producer = shm.SharedQueue.open(memory, place("queue")).producer();
  producer.tryWrite(record(1, 24));
  producer.tryReserve(9)?.fill(2);
  producer.commit();
  producer.tryWrite(record(3, 40));
  producer.tryWrite(record(4, 72)); // over its end
  producer.tryReserve(8); // and dropped
  producer.close();
});
part("read from a queue", () => {
  const consumer = shm.SharedQueue.open(memory, place("consumed")).consumer();
  for (let i = 0; i < 5; i++) consumer.tryRead(into);
  consumer.close();
});
part("broadcast", () => {
  const sender = shm.Broadcast.open(memory, place("broadcast")).sender();
  for (let i = 1; i <= 6; i++) sender.send(record(i, 8 * i));
  sender.close();
});
part("lock and unlock", () => {
  const mutex = shm.SharedMutex.open(memory, place("mutex"));
  const words = new Int32Array(buffer, 128, 2); // counted, too
  const guard = mutex.tryLock()!;
  words[0]++;
  words[1]++;
  guard.release();
});
part("use a semaphore", () => {
  const semaphore = shm.SharedSemaphore.open(memory, place("semaphore"));
  const guards = [semaphore.tryAcquire()!, semaphore.tryAcquire()!];
  for (const guard of guards) guard.release();
});
part("set an event", () => {
  const event = shm.SharedEvent.open(memory, place("event"));
  event.set();
  event.reset();
});
part("write a struct", () => {
  const Pair = shm.struct({ first: "u32", second: "u32" });
  const seqlock = shm.SeqLock.open(memory, Pair, place("seqlock"));
  seqlock.write({ first: 2, second: 2 });
  seqlock.read();
});
memory.close();
console.log(JSON.stringify(ends));
