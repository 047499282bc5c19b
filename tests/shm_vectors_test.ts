// The vectors of docs/shm-layout.md are what the package really writes.

import { assert, assertEquals } from "@std/assert";
import {
  Broadcast,
  listenShm,
  Ring,
  SeqLock,
  SharedEvent,
  SharedMemory,
  SharedMutex,
  SharedQueue,
  SharedSemaphore,
  struct,
} from "../shm/mod.ts";
import { connectUnix } from "../socket/mod.ts";
import { noShm } from "./_shm.ts";

/** The lines of each vector by its name: an offset, and bytes or "..". */
const vectors = new Map<string, [number, string[]][]>();
const text = Deno.readTextFileSync(
  new URL("../docs/shm-layout.md", import.meta.url),
);
for (const [, name, body] of text.matchAll(/```vector (.+)\n([^`]+)```/g)) {
  const lines = body.trim().split("\n").map((line) => {
    const [offset, ...bytes] = line.trim().split(/\s+/);
    return [Number(offset), bytes] as [number, string[]];
  });
  vectors.set(name, lines);
}

const checked = new Set<string>();

function check(name: string, memory: Uint8Array): void {
  const lines = vectors.get(name);
  assert(lines !== undefined, `There is no vector ${name}`);
  for (const [offset, bytes] of lines) {
    const seen = bytes.map((byte, i) =>
      byte === ".." ? ".." : memory[offset + i].toString(16).padStart(2, "0")
    );
    assertEquals(seen.join(" "), bytes.join(" "), `${name} at ${offset}`);
  }
  checked.add(name);
}

const capacity = 64;
const abc = new Uint8Array([1, 2, 3]);
const filled = (byte: number, length: number) =>
  new Uint8Array(length).fill(byte);

Deno.test("docs/shm-layout.md has vectors that are right", {
  ignore: noShm,
}, async () => {
  const fresh = () => {
    const memory = SharedMemory.anonymous({ size: 4096 - 128 });
    return { memory, bytes: new Uint8Array(memory.buffer) };
  };
  {
    const { memory, bytes } = fresh();
    using _ = memory;
    check("segment", bytes);
    const ring = Ring.create(memory, { capacity });
    const writer = ring.writer();
    using reader = ring.reader();
    writer.tryWrite(new TextEncoder().encode("hello"));
    writer.tryWrite(abc);
    check("ring", bytes);
    const into = new Uint8Array(64);
    assertEquals(reader.tryRead(into), 5);
    assertEquals(reader.tryRead(into), 3);
    assertEquals(reader.tryRead(into), -1);
    assert(writer.tryWrite(filled(0xaa, 16)));
    assertEquals(reader.tryRead(into), 16);
    assertEquals(reader.tryRead(into), -1);
    assert(writer.tryWrite(filled(0xbb, 16)));
    writer.close();
    check("ring after its end", bytes);
  }
  {
    const { memory, bytes } = fresh();
    using _ = memory;
    const queue = SharedQueue.create(memory, { capacity });
    using producer = queue.producer();
    producer.tryWrite(abc);
    producer.tryWrite(filled(0xaa, 8));
    assert(producer.tryReserve(5));
    check("queue", bytes);
  }
  {
    const { memory, bytes } = fresh();
    using _ = memory;
    using sender = Broadcast.create(memory, { capacity }).sender();
    sender.send(abc);
    sender.send(filled(0xaa, 8));
    check("broadcast", bytes);
  }
  {
    const { memory, bytes } = fresh();
    using _ = memory;
    using _guard = SharedMutex.create(memory).tryLock();
    check("mutex", bytes);
  }
  {
    const { memory, bytes } = fresh();
    using _ = memory;
    using _guard = SharedSemaphore.create(memory, { permits: 2 }).tryAcquire();
    check("semaphore", bytes);
  }
  {
    const { memory, bytes } = fresh();
    using _ = memory;
    const event = SharedEvent.create(memory);
    event.set();
    event.set();
    check("event", bytes);
  }
  {
    const { memory, bytes } = fresh();
    using _ = memory;
    const lock = SeqLock.create(memory, struct({ a: "u32", b: "u32" }));
    lock.write({ a: 1, b: 2 });
    check("seqlock", bytes);
  }
  {
    const directory = await Deno.makeTempDir();
    const path = `${directory}/a.sock`;
    await using listener = await listenShm({ path });
    const accepting = listener.accept();
    const socket = await connectUnix({ path });
    const { value } = await socket.readable.getReader().read();
    check("rendezvous", value!);
    (await accepting).abort();
    socket.abort();
    await Deno.remove(directory, { recursive: true });
  }
  assertEquals([...checked].toSorted(), [...vectors.keys()].toSorted());
});
