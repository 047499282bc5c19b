// A process is killed between every two accesses to shared memory, one after
// the other, and another goes on with what it left.

import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "@std/assert";
import { ConnectionClosedError } from "../duplex.ts";
import {
  Broadcast,
  Ring,
  SeqLock,
  SharedEvent,
  SharedMemory,
  SharedMutex,
  SharedQueue,
  SharedSemaphore,
  struct,
} from "../shm/mod.ts";
import { noShm, uniqueName } from "./_shm.ts";

const CAPACITY = 256;
/** Where the rings begin, so that something goes over their end. */
const START = 80;
/** How many processes run at once. */
const WIDTH = 3;
const timeout = 10_000;
const script = fileURLToPath(new URL("peers/shm_steps.ts", import.meta.url));
const Pair = struct({ first: "u32", second: "u32" });

const PLACES = (() => {
  let end = 128;
  const place = (length: number) => {
    const offset = end;
    end = Math.ceil((end + length) / 128) * 128;
    return offset;
  };
  return {
    inbound: place(Ring.byteLength(CAPACITY)),
    outbound: place(Ring.byteLength(CAPACITY)),
    queue: place(SharedQueue.byteLength(CAPACITY)),
    consumed: place(SharedQueue.byteLength(CAPACITY)),
    broadcast: place(Broadcast.byteLength(CAPACITY)),
    mutex: place(SharedMutex.byteLength),
    semaphore: place(SharedSemaphore.byteLength(2)),
    event: place(SharedEvent.byteLength),
    seqlock: place(SeqLock.byteLength(Pair)),
    size: end,
  };
})();

const record = (id: number, length: number) => new Uint8Array(length).fill(id);

/** The ids of records read until there are none; each must be whole. */
function ids(read: (into: Uint8Array) => number): number[] {
  const into = new Uint8Array(CAPACITY);
  const seen: number[] = [];
  for (let length; (length = read(into)) >= 0;) {
    const bytes = into.subarray(0, length);
    assert(bytes.every((byte) => byte === bytes[0]), `torn: ${bytes}`);
    seen.push(bytes[0]);
  }
  return seen;
}

/** Runs the victim up to a step, 0 for all; what it printed. */
async function run(name: string, step: number): Promise<string> {
  const { stdout, stderr, signal, code } = await new Deno.Command(
    Deno.execPath(),
    {
      args: ["run", "-A", "--no-check", script, name, JSON.stringify(PLACES)]
        .concat(String(step)),
    },
  ).output();
  const text = new TextDecoder();
  if (step === 0) assertEquals(code, 0, text.decode(stderr));
  else assertEquals(signal, "SIGKILL", text.decode(stderr));
  return text.decode(stdout);
}

const isPrefix = (seen: number[], all: number[]) =>
  assertEquals(seen, all.slice(0, seen.length));
const isSuffix = (seen: number[], all: number[]) =>
  assertEquals(seen, all.slice(all.length - seen.length));

/** Sets everything up, has a victim die at `step`, and goes on. */
async function survive(step: number): Promise<string> {
  using memory = SharedMemory.create(uniqueName(), { size: PLACES.size });
  const place = (name: keyof typeof PLACES) => ({
    capacity: CAPACITY,
    permits: 2,
    offset: PLACES[name],
  });
  const createRing = (name: "inbound" | "outbound") => {
    const ring = Ring.create(memory, place(name));
    new Int32Array(memory.buffer, 128 + PLACES[name] + 256, 1)[0] = START;
    // What an earlier lap left looks like records: only the next word is clear.
    const data = 128 + PLACES[name] + 512;
    const words = new Int32Array(memory.buffer, data, CAPACITY / 4).fill(16);
    words[START / 4] = 0;
    return ring;
  };
  const inbound = createRing("inbound");
  const outbound = createRing("outbound");
  using reader = inbound.reader();
  using writer = outbound.writer();
  for (let i = 1; i <= 6; i++) assert(writer.tryWrite(record(i, 8 + 4 * i)));

  const queue = SharedQueue.create(memory, place("queue"));
  using consumer = queue.consumer();
  using ours = queue.producer();
  ours.tryWrite(record(9, 96));
  assertEquals(ids((into) => consumer.tryRead(into)), [9]);
  const consumed = SharedQueue.create(memory, place("consumed"));
  using producer = consumed.producer();
  for (let i = 1; i <= 5; i++) assert(producer.tryWrite(record(i, 8 * i)));

  const broadcast = Broadcast.create(memory, place("broadcast"));
  const receiver = broadcast.receiver();
  {
    using sender = broadcast.sender();
    sender.send(record(9, 48));
    assertEquals(ids((into) => receiver.tryRead(into)), [9]);
  }
  const mutex = SharedMutex.create(memory, place("mutex"));
  const semaphore = SharedSemaphore.create(memory, place("semaphore"));
  const event = SharedEvent.create(memory, place("event"));
  const seqlock = SeqLock.create(memory, Pair, place("seqlock"));
  seqlock.write({ first: 1, second: 1 });

  const printed = await run(memory.name!, step);

  // What was committed came whole and in order, and others take over.
  isPrefix(
    ids((into) => reader.tryRead(into)),
    [1, 1, 1, 1, 1, 1, 2, 3, 4],
  );
  {
    using writer = inbound.writer();
    assert(writer.tryWrite(record(7, 40)));
    assertEquals(ids((into) => reader.tryRead(into)), [7]);
  }
  {
    using reader = outbound.reader();
    isSuffix(ids((into) => reader.tryRead(into)), [1, 2, 3, 4, 5, 6]);
    assert(writer.tryWrite(record(7, 100)));
    assertEquals(ids((into) => reader.tryRead(into)), [7]);
  }
  const writing = ours.write(record(8, 8), { timeout });
  const seen: number[] = [];
  while (seen.at(-1) !== 8) seen.push((await consumer.read({ timeout }))[0]);
  await writing;
  isPrefix(seen.slice(0, -1), [1, 2, 3, 4]);
  assert(consumer.lost <= 1);
  {
    using consumer = consumed.consumer();
    assert(producer.tryWrite(record(6, 8)));
    isSuffix(ids((into) => consumer.tryRead(into)), [1, 2, 3, 4, 5, 6]);
  }
  isPrefix(ids((into) => receiver.tryRead(into)), [1, 2, 3, 4, 5, 6]);
  {
    using sender = broadcast.sender();
    sender.send(record(7, 8));
    assertEquals(ids((into) => receiver.tryRead(into)), [7]);
  }
  {
    const words = new Int32Array(memory.buffer, 128, 2);
    using guard = await mutex.lock({ timeout });
    // Only who died with the lock may have left half of it.
    if (!guard.ownerDied) assertEquals(words[0], words[1]);
    using _first = await semaphore.acquire({ timeout });
    using _second = await semaphore.acquire({ timeout });
  }
  const waiting = event.wait({ timeout });
  event.set();
  await waiting;
  try {
    const { first, second } = seqlock.read();
    assertEquals(first, second);
  } catch (error) {
    assert(error instanceof ConnectionClosedError, String(error));
    assertEquals(error.code, "lost");
  }
  seqlock.write({ first: 3, second: 3 });
  assertEquals(seqlock.read(), { first: 3, second: 3 });
  return printed;
}

Deno.test("shm survives a peer that is killed between every two steps", {
  ignore: noShm,
}, async (t) => {
  const ends: Record<string, number> = JSON.parse(await survive(0));
  let from = 1;
  for (const [name, last] of Object.entries(ends)) {
    await t.step(`${name}: ${last - from + 1} steps`, async () => {
      let next = from;
      const one = async () => {
        while (next <= last) {
          const step = next++;
          await survive(step).catch((cause) => {
            throw new Error(`Cannot go on after step ${step}`, { cause });
          });
        }
      };
      await Promise.all(Array.from({ length: WIDTH }, one));
    });
    assert(last > from, `${name} took no step`);
    from = last + 1;
  }
});
