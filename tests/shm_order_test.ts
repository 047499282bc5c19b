// The way without a processor that keeps stores and loads in order, as on
// aarch64: atomics throughout. A process that takes itself for one speaks to
// this one. It shows that this way is complete and speaks the same layout; that
// its order is right on such a processor only such a processor can show.

import { assert, assertEquals } from "@std/assert";
import {
  Broadcast,
  Ring,
  SeqLock,
  SharedMemory,
  SharedQueue,
  struct,
} from "../shm/mod.ts";
import { firstLine, killPeer, noShm, shmModule, uniqueName } from "./_shm.ts";

const CAPACITY = 4096;
const COUNT = 20_000;
const Pair = struct({ first: "u32", words: ["u32", 15] });

const PEER = `
  const build = { ...Deno.build, arch: "aarch64" };
  Object.defineProperty(globalThis, "Deno", {
    value: new Proxy(Deno, {
      get: (target, key) => key === "build" ? build : Reflect.get(target, key),
    }),
  });
  const { TSO } = await import(${
  JSON.stringify(
    new URL("../shm/_ring_access.ts", import.meta.url).href,
  )
});
  if (TSO) throw new Error("It still trusts the processor");
  const shm = await import(${shmModule});
  const [name, text] = Deno.args;
  const at = JSON.parse(text);
  using memory = shm.SharedMemory.open(name);
  const place = (name) => ({ offset: at[name] });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  const reader = shm.Ring.open(memory, place("there")).reader();
  const writer = shm.Ring.open(memory, place("back")).writer();
  const producer = shm.SharedQueue.open(memory, place("queue")).producer();
  const sender = shm.Broadcast.open(memory, place("broadcast")).sender();
  const receiver = shm.Broadcast.open(memory, place("other")).receiver();
  const Pair = shm.struct({ first: "u32", words: ["u32", 15] });
  const seqlock = shm.SeqLock.open(memory, Pair, place("seqlock"));
  console.log("ready");
  const into = new Uint8Array(64);
  let heard = 0;
  for (let i = 0; i < ${COUNT}; i++) {
    let length;
    while ((length = reader.tryRead(into)) < 0) await turn();
    const record = into.subarray(0, length);
    if (i % 3 === 0) while (!writer.tryWrite(record)) await turn();
    else if (i % 3 === 1) while (writer.tryWriteMany([record]) < 1) await turn();
    else {
      let view;
      while (!(view = writer.tryReserve(64))) await turn();
      view.set(record);
      writer.commit(length);
    }
    while (!producer.tryWrite(record)) await turn();
    sender.send(record);
    seqlock.write({ first: i, words: new Uint32Array(15).fill(i) });
    if (receiver.tryRead(into) > 0) heard++;
  }
  writer.close();
  sender.close();
  producer.close();
  reader.close();
  console.log("heard", heard > 0);`;

Deno.test("shm speaks to a peer that uses atomics throughout", {
  ignore: noShm,
}, async () => {
  let size = 0;
  const place = (length: number) => {
    const offset = size;
    size = Math.ceil((size + length) / 128) * 128;
    return { offset, capacity: CAPACITY };
  };
  const at = {
    there: place(Ring.byteLength(CAPACITY)),
    back: place(Ring.byteLength(CAPACITY)),
    queue: place(SharedQueue.byteLength(CAPACITY)),
    broadcast: place(Broadcast.byteLength(CAPACITY)),
    other: place(Broadcast.byteLength(CAPACITY)),
    seqlock: place(SeqLock.byteLength(Pair)),
  };
  using memory = SharedMemory.create(uniqueName(), { size });
  using writer = Ring.create(memory, at.there).writer();
  using reader = Ring.create(memory, at.back).reader();
  using consumer = SharedQueue.create(memory, at.queue).consumer();
  const receiver = Broadcast.create(memory, at.broadcast).receiver();
  using sender = Broadcast.create(memory, at.other).sender();
  const seqlock = SeqLock.create(memory, Pair, at.seqlock);
  const script = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(script, PEER);
  const offsets = Object.entries(at).map(([name, { offset }]) => [
    name,
    offset,
  ]);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", script, memory.name!].concat(
      JSON.stringify(Object.fromEntries(offsets)),
    ),
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  try {
    assertEquals(await firstLine(child.stdout), "ready");
    const words = new Uint32Array(16);
    const bytes = new Uint8Array(words.buffer);
    const into = new Uint32Array(16);
    const intoBytes = new Uint8Array(into.buffer);
    const lengthOf = (i: number) => 4 * (1 + i % 16);
    const check = (length: number, expected?: number) => {
      const [first] = into;
      if (expected !== undefined) assertEquals(first, expected);
      const good = length === lengthOf(first) &&
        into.subarray(0, length / 4).every((word) => word === first);
      assert(good, `torn: ${into.subarray(0, length / 4)}`);
    };
    let [sent, back, queued, heard] = [0, 0, 0, 0];
    const started = performance.now();
    while (back < COUNT || queued < COUNT) {
      for (; sent < COUNT; sent++) {
        words.fill(sent);
        const part = bytes.subarray(0, lengthOf(sent));
        if (!writer.tryWrite(part)) break;
        sender.send(part);
      }
      for (let n; (n = reader.tryRead(intoBytes)) >= 0;) check(n, back++);
      for (let n; (n = consumer.tryRead(intoBytes)) >= 0;) check(n, queued++);
      for (let n; (n = receiver.tryRead(intoBytes)) >= 0; heard++) check(n);
      const { first, words: all } = seqlock.read();
      assert(all.every((word) => word === first), `torn: ${first}, ${all}`);
      assert(performance.now() - started < 30_000, "too slow");
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert(heard > 0);
    assertEquals(await reader.read(), null);
  } finally {
    await child.status.catch(() => {});
    await killPeer(child);
    await Deno.remove(script);
  }
});
