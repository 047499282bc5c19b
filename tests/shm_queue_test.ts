import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConnectionClosedError } from "../duplex.ts";
import { Broadcast, SharedMemory, SharedQueue } from "../shm/mod.ts";
import {
  firstLine,
  killPeer,
  noShm,
  peerEnd,
  random,
  spawnPeer,
  uniqueName,
} from "./_shm.ts";

const ignore = noShm;

function createQueue(capacity: number) {
  const memory = SharedMemory.anonymous({
    size: SharedQueue.byteLength(capacity),
  });
  return { memory, queue: SharedQueue.create(memory, { capacity }) };
}

Deno.test("SharedQueue behaves as a queue under random operations", {
  ignore,
}, () => {
  for (let seed = 1; seed <= 20; seed++) {
    const next = random(seed);
    const { memory, queue } = createQueue(256);
    using _ = memory;
    const producers = [queue.producer(), queue.producer(), queue.producer()];
    using consumer = queue.consumer();
    const expected: Uint8Array[] = [];
    const into = new Uint8Array(consumer.longestRecord);
    for (let step = 0; step < 2000; step++) {
      const producer = producers[Math.floor(next() * 3)];
      const payload = crypto.getRandomValues(
        new Uint8Array(Math.floor(next() * (consumer.longestRecord + 1))),
      );
      const choice = next();
      if (choice < 0.4) {
        if (producer.tryWrite(payload)) expected.push(payload);
      } else if (choice < 0.6) {
        const view = producer.tryReserve(payload.length);
        if (view === undefined) continue;
        if (next() < 0.7) {
          view.set(payload);
          producer.commit();
          expected.push(payload);
        } else if (next() < 0.5) producer.tryReserve(1); // drops the first
        if (next() < 0.9) continue;
        producer.close();
        producers[producers.indexOf(producer)] = queue.producer();
      } else {
        const length = consumer.tryRead(into);
        if (length < 0) {
          // Nothing, or something reserved by one that goes on later.
          continue;
        }
        assertEquals(into.slice(0, length), expected.shift());
      }
    }
    for (const producer of producers) producer.close();
    for (let length; (length = consumer.tryRead(into)) >= 0;) {
      assertEquals(into.slice(0, length), expected.shift());
    }
    assertEquals(expected, []);
    assertEquals(consumer.lost, 0);
  }
});

Deno.test("SharedQueue carries what 4 processes write, each in its order", {
  ignore,
}, async () => {
  const capacity = 16384;
  using memory = SharedMemory.create(uniqueName(), {
    size: SharedQueue.byteLength(capacity),
  });
  using consumer = SharedQueue.create(memory, { capacity }).consumer();
  const children = [0, 1, 2, 3].map((id) =>
    spawnPeer(
      `using m = shm.SharedMemory.open(args[0]);
       using producer = shm.SharedQueue.open(m).producer();
       const words = new Int32Array(6), bytes = new Uint8Array(words.buffer);
       for (let i = 0; i < 100_000; i++) {
         words.fill(i); words[0] = ${id};
         const part = bytes.subarray(0, 8 + 4 * (i % 5));
         while (!producer.tryWrite(part)) await new Promise((r) => setImmediate(r));
       }`,
      [memory.name!],
    )
  );
  const counts = [0, 0, 0, 0];
  const signal = AbortSignal.timeout(20_000);
  for (let i = 0; i < 400_000; i++) {
    const [id, ...rest] = new Int32Array(
      (await consumer.read({ signal })).buffer,
    );
    const count = counts[id]++;
    if (rest.length !== 1 + count % 5 || rest.some((word) => word !== count)) {
      throw new Error(`wrong record ${count} of ${id}: ${rest}`);
    }
  }
  assertEquals(counts, [100_000, 100_000, 100_000, 100_000]);
  assertEquals(await Promise.all(children.map(peerEnd)), [0, 0, 0, 0]);
  assertEquals(consumer.lost, 0);
});

Deno.test(
  "SharedQueue skips the record of a producer killed before its commit",
  {
    ignore,
  },
  async () => {
    using memory = SharedMemory.create(uniqueName(), {
      size: SharedQueue.byteLength(4096),
    });
    const queue = SharedQueue.create(memory, { capacity: 4096 });
    using consumer = queue.consumer();
    using ours = queue.producer();
    for (const writesAfter of [false, true]) {
      const child = spawnPeer(
        `globalThis.m = shm.SharedMemory.open(args[0]);
       globalThis.p = shm.SharedQueue.open(m).producer();
       p.tryWrite(new Uint8Array([1]));
       p.tryReserve(100).fill(9);
       say("reserved"); setInterval(() => {}, 1000);`,
        [memory.name!],
      );
      assertEquals(await firstLine(child.stdout), "reserved");
      if (writesAfter) assert(ours.tryWrite(new Uint8Array([2])));
      assertEquals(await consumer.read(), new Uint8Array([1]));
      const before = consumer.lost;
      // It only pauses so far: nothing may be taken from it.
      await assertRejects(() => consumer.read({ timeout: 100 }), DOMException);
      assertEquals(consumer.lost, before);
      await killPeer(child);
      if (!writesAfter) assert(ours.tryWrite(new Uint8Array([2])));
      assertEquals(
        await consumer.read({ timeout: 5000 }),
        new Uint8Array([2]),
      );
      assertEquals(consumer.lost, before + 1);
    }
  },
);

Deno.test("SharedQueue gives the place of a killed producer to another", {
  ignore,
}, async () => {
  using memory = SharedMemory.create(uniqueName(), {
    size: SharedQueue.byteLength(4096),
  });
  const queue = SharedQueue.create(memory, { capacity: 4096 });
  using consumer = queue.consumer();
  const child = spawnPeer(
    `globalThis.m = shm.SharedMemory.open(args[0]);
     globalThis.p = Array.from({ length: 64 }, () => shm.SharedQueue.open(m).producer());
     say("ready"); setInterval(() => {}, 1000);`,
    [memory.name!],
  );
  assertEquals(await firstLine(child.stdout), "ready");
  assertThrows(() => queue.producer(), Deno.errors.Busy, "all 64");
  await killPeer(child);
  const into = new Uint8Array(8);
  for (let i = 0; i < 5000; i++) assertEquals(consumer.tryRead(into), -1);
  using producer = queue.producer();
  assert(producer.tryWrite(new Uint8Array([1])));
});

Deno.test("SharedQueue goes on after its consumer was killed", {
  ignore,
}, async () => {
  const capacity = 1024;
  using memory = SharedMemory.create(uniqueName(), {
    size: SharedQueue.byteLength(capacity),
  });
  const queue = SharedQueue.create(memory, { capacity });
  using producer = queue.producer();
  let sent = 0;
  let last = -1;
  for (let round = 0; round < 3; round++) {
    const child = spawnPeer(
      `globalThis.m = shm.SharedMemory.open(args[0]);
       globalThis.c = shm.SharedQueue.open(m).consumer();
       say("ready");
       const into = new Uint8Array(512);
       while (true) c.tryRead(into);`,
      [memory.name!],
    );
    assertEquals(await firstLine(child.stdout), "ready");
    for (let i = 0; i < 5000; i++) {
      const payload = new Uint8Array(new Int32Array([sent, sent, sent]).buffer);
      if (producer.tryWrite(payload)) sent++;
    }
    await killPeer(child);
    using consumer = queue.consumer();
    // A full queue is fine: then what is in it is the newest.
    const extra = new Uint8Array(new Int32Array([sent, sent, sent]).buffer);
    if (producer.tryWrite(extra)) sent++;
    const into = new Uint8Array(512);
    for (let length; (length = consumer.tryRead(into)) >= 0;) {
      const words = new Int32Array(into.buffer, 0, 3);
      assertEquals(length, 12);
      assert(
        words[0] > last && words[1] === words[0],
        `${words} after ${last}`,
      );
      last = words[0];
    }
    assertEquals(last, sent - 1);
  }
});

Deno.test("SharedQueue survives random bytes over all of it", {
  ignore,
}, () => {
  const next = random(5);
  const into = new Uint8Array(4096);
  let errors = 0;
  for (let round = 0; round < 500; round++) {
    const { memory, queue } = createQueue(256);
    using _ = memory;
    const words = new Int32Array(memory.buffer, 128, (896 + 256) / 4);
    using producer = queue.producer();
    using consumer = queue.consumer();
    for (let step = 0; step < 40; step++) {
      words[Math.floor(next() * words.length)] = next() < 0.5
        ? Math.floor(next() * 2 ** 32)
        : Math.floor(next() * 300) - 150;
      try {
        producer.tryWrite(into.subarray(0, Math.floor(next() * 100)));
        consumer.tryRead(into);
        SharedQueue.open(memory);
      } catch (error) {
        errors++;
        assert(
          error instanceof Deno.errors.InvalidData ||
            error instanceof Deno.errors.NotFound,
          String(error),
        );
      }
    }
  }
  assert(errors > 100);
});

Deno.test("SharedQueue rejects misuse", { ignore }, async () => {
  const { memory, queue } = createQueue(64);
  const producer = queue.producer();
  using consumer = queue.consumer();
  assertThrows(() => queue.consumer(), Deno.errors.Busy, "is its consumer");
  assertThrows(
    () => producer.tryWrite(new Uint8Array(25)),
    RangeError,
    "record of 25 bytes exceeds its longest, 24",
  );
  assertThrows(() => producer.commit(), TypeError, "nothing is reserved");
  producer.tryWrite(new Uint8Array(10));
  assertThrows(
    () => consumer.tryRead(new Uint8Array(3)),
    RangeError,
    "holds 3",
  );
  assertThrows(
    () => SharedQueue.byteLength(2 ** 27),
    RangeError,
    "at most 67108864",
  );
  consumer.close();
  await assertRejects(
    async () => {
      for (let i = 0; i < 9; i++) await producer.write(new Uint8Array(24));
    },
    ConnectionClosedError,
    "the consumer closed it",
  );
  assertThrows(
    () => consumer.tryRead(into0),
    Deno.errors.BadResource,
    "this consumer is closed",
  );
  producer.close();
  assertThrows(() => producer.tryWrite(into0), Deno.errors.BadResource);
  memory.close();
  assertThrows(() => queue.producer(), Deno.errors.BadResource);
});
const into0 = new Uint8Array(1);

function createBroadcast(capacity: number) {
  const memory = SharedMemory.anonymous({
    size: Broadcast.byteLength(capacity),
  });
  return { memory, broadcast: Broadcast.create(memory, { capacity }) };
}

Deno.test("Broadcast brings every record to every receiver", {
  ignore,
}, async () => {
  const { memory, broadcast } = createBroadcast(1024);
  using _ = memory;
  const receivers = [broadcast.receiver(), broadcast.receiver()];
  {
    using sender = broadcast.sender();
    assertThrows(() => broadcast.sender(), Deno.errors.Busy);
    assertThrows(
      () => sender.send(new Uint8Array(249)),
      RangeError,
      "record of 249 bytes exceeds its longest, 248",
    );
    const into = new Uint8Array(248);
    for (let length = 0; length <= 248; length++) {
      sender.send(new Uint8Array(length).fill(length));
      for (const receiver of receivers) {
        assertEquals(receiver.tryRead(into), length);
        assert(into.subarray(0, length).every((byte) => byte === length));
        assertEquals(receiver.tryRead(into), -1);
      }
    }
    sender.send(new Uint8Array([1]));
    assertThrows(
      () => receivers[0].tryRead(new Uint8Array(0)),
      RangeError,
      "holds 0",
    );
  }
  for (const receiver of receivers) {
    assertEquals(receiver.lost, 0);
    const records = await Array.fromAsync(receiver);
    assertEquals(records, [{ payload: new Uint8Array([1]), lost: 0 }]);
  }
});

Deno.test("Broadcast tells a lapped receiver how many it lost", {
  ignore,
}, async () => {
  const { memory, broadcast } = createBroadcast(256);
  using _ = memory;
  using sender = broadcast.sender();
  const receiver = broadcast.receiver();
  const send = (i: number) =>
    sender.send(new Uint8Array(new Int32Array([i]).buffer));
  send(0);
  assertEquals((await receiver.receive())?.lost, 0);
  for (let i = 1; i <= 1000; i++) send(i);
  const record = await receiver.receive();
  assertEquals(record?.lost, 999);
  assertEquals(new Int32Array(record!.payload.buffer)[0], 1000);
  assertEquals(receiver.lost, 999);
});

Deno.test("Broadcast never tears under a sender in another process", {
  ignore,
}, async () => {
  const capacity = 4096;
  const size = Broadcast.byteLength(capacity);
  using memory = SharedMemory.create(uniqueName(), { size: size + 8 });
  const enough = new Int32Array(memory.buffer, 128 + size, 1);
  const receiver = Broadcast.create(memory, { capacity }).receiver();
  const child = spawnPeer(
    `using m = shm.SharedMemory.open(args[0]);
     using sender = shm.Broadcast.open(m).sender();
     const words = new Int32Array(32), bytes = new Uint8Array(words.buffer);
     const enough = new Int32Array(m.buffer, 128 + shm.Broadcast.byteLength(4096), 1);
     for (let i = 0; Atomics.load(enough, 0) === 0; i++) {
       words.fill(i);
       sender.send(bytes.subarray(0, 4 * (1 + i % 32)));
     }`,
    [memory.name!],
  );
  let seen = 0;
  let last = -1;
  // Where both have but one core, it sees one record each time that it wakes.
  const late = performance.now() + 10_000;
  const signal = AbortSignal.timeout(30_000);
  for (let record; (record = await receiver.receive({ signal })) !== null;) {
    const words = new Int32Array(record.payload.buffer);
    const [first] = words;
    if (words.length !== 1 + first % 32 || words.some((w) => w !== first)) {
      throw new Error(`torn: ${words}`);
    }
    if (last >= 0) assertEquals(first, last + 1 + record.lost);
    last = first;
    if (++seen >= 20_000 || performance.now() > late) {
      Atomics.store(enough, 0, 1);
    }
  }
  assert(seen >= 100, `saw ${seen}`);
  assert(receiver.lost > 0, "it was never lapped");
  assertEquals(await peerEnd(child), 0);
});

Deno.test("Broadcast says that the sender was killed, and another goes on", {
  ignore,
}, async () => {
  using memory = SharedMemory.create(uniqueName(), {
    size: Broadcast.byteLength(1024),
  });
  const broadcast = Broadcast.create(memory, { capacity: 1024 });
  const receiver = broadcast.receiver();
  const child = spawnPeer(
    `globalThis.m = shm.SharedMemory.open(args[0]);
     globalThis.s = shm.Broadcast.open(m).sender();
     s.send(new Uint8Array([1])); say("sent"); setInterval(() => {}, 1000);`,
    [memory.name!],
  );
  assertEquals(await firstLine(child.stdout), "sent");
  assertEquals((await receiver.receive())?.payload, new Uint8Array([1]));
  const waiting = receiver.receive();
  await killPeer(child);
  const error = await assertRejects(() => waiting, ConnectionClosedError);
  assertEquals(error.code, "lost");
  using sender = broadcast.sender();
  sender.send(new Uint8Array([2]));
  assertEquals(await receiver.receive(), {
    payload: new Uint8Array([2]),
    lost: 0,
  });
});

Deno.test("Broadcast survives random bytes over all of it", { ignore }, () => {
  const next = random(3);
  const into = new Uint8Array(4096);
  let errors = 0;
  for (let round = 0; round < 500; round++) {
    const { memory, broadcast } = createBroadcast(256);
    using _ = memory;
    const words = new Int32Array(memory.buffer, 128, (256 + 256) / 4);
    using sender = broadcast.sender();
    const receiver = broadcast.receiver();
    for (let step = 0; step < 40; step++) {
      words[Math.floor(next() * words.length)] = next() < 0.5
        ? Math.floor(next() * 2 ** 32)
        : Math.floor(next() * 300) - 150;
      try {
        sender.send(into.subarray(0, Math.floor(next() * 50)));
        receiver.tryRead(into);
        Broadcast.open(memory);
      } catch (error) {
        errors++;
        assert(
          error instanceof Deno.errors.InvalidData ||
            error instanceof Deno.errors.NotFound,
          String(error),
        );
      }
    }
  }
  assert(errors > 100);
});

Deno.test(
  "SharedQueue gives the places of killed producers out again while its consumer waits",
  {
    ignore,
  },
  async () => {
    using memory = SharedMemory.create(uniqueName(), {
      size: SharedQueue.byteLength(4096),
    });
    const queue = SharedQueue.create(memory, { capacity: 4096 });
    using consumer = queue.consumer();
    const child = spawnPeer(
      `globalThis.m = shm.SharedMemory.open(args[0]);
     const queue = shm.SharedQueue.open(m);
     globalThis.all = Array.from({ length: 64 }, () => queue.producer());
     say("full"); setInterval(() => {}, 1000);`,
      [memory.name!],
    );
    assertEquals(await firstLine(child.stdout), "full");
    assertThrows(() => queue.producer(), Deno.errors.Busy);
    await killPeer(child);
    // As often as a consumer looks that has waited for a while.
    const into = new Uint8Array(consumer.longestRecord);
    for (let look = 0; look < 64; look++) {
      assertEquals(consumer.tryRead(into), -1);
      await new Promise((resolve) => setTimeout(resolve, 8));
    }
    using producer = queue.producer();
    assert(producer.tryWrite(new Uint8Array(3)));
    assertEquals(consumer.tryRead(into), 3);
  },
);
