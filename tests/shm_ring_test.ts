import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConnectionClosedError } from "../duplex.ts";
import { Ring, SharedMemory } from "../shm/mod.ts";
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
/** Words before the first record: the segment's header and the ring's. */
const RECORDS = (128 + 512) / 4;
const TAIL = (128 + 256) / 4;

function createRing(capacity: number) {
  const memory = SharedMemory.anonymous({ size: Ring.byteLength(capacity) });
  const ring = Ring.create(memory, { capacity });
  return { memory, ring, words: new Int32Array(memory.buffer) };
}

Deno.test("Ring carries records of every length in order", { ignore }, () => {
  const { memory, ring } = createRing(1024);
  using _ = memory;
  using writer = ring.writer();
  using reader = ring.reader();
  const into = new Uint8Array(writer.longestRecord);
  for (let length = 0; length <= writer.longestRecord; length++) {
    const payload = new Uint8Array(length).map((_, i) => i + length);
    assert(writer.tryWrite(payload));
    assertEquals(reader.tryRead(into), length);
    assertEquals(into.subarray(0, length), payload);
  }
  assertEquals(reader.tryRead(into), -1);
});

Deno.test("Ring behaves as a queue under random operations", { ignore }, () => {
  for (let seed = 1; seed <= 20; seed++) {
    const next = random(seed);
    const { memory, ring } = createRing(256);
    using _ = memory;
    using writer = ring.writer();
    using reader = ring.reader();
    const visible: Uint8Array[] = [];
    let hidden: Uint8Array[] = [];
    const show = (...more: Uint8Array[]) => {
      visible.push(...hidden, ...more);
      hidden = [];
    };
    const into = new Uint8Array(writer.longestRecord);
    const lengths = new Int32Array(4);
    const many = new Uint8Array(4 * 128);
    for (let step = 0; step < 2000; step++) {
      const payload = crypto.getRandomValues(
        new Uint8Array(Math.floor(next() * (writer.longestRecord + 1))),
      );
      const choice = Math.floor(next() * 8);
      if (choice === 0) {
        if (writer.tryAppend(payload)) hidden.push(payload);
      } else if (choice === 1) {
        writer.publish();
        show();
      } else if (choice <= 3) {
        if (writer.tryWrite(payload)) show(payload);
      } else if (choice === 4) {
        const view = writer.tryReserve(payload.length);
        if (view !== undefined && next() > 0.2) {
          const length = Math.floor(next() * (payload.length + 1));
          view.set(payload);
          writer.commit(length);
          show(payload.slice(0, length));
        }
      } else if (choice === 5) {
        const view = reader.tryPeek();
        assertEquals(view, visible.shift());
        if (view !== undefined) reader.release();
      } else if (choice === 6) {
        const count = reader.tryReadMany(many, lengths);
        for (let i = 0, at = 0; i < count; i++) {
          assertEquals(many.slice(at, at + lengths[i]), visible.shift());
          at += (lengths[i] + 7) & ~7;
        }
      } else {
        const length = reader.tryRead(into);
        const expected = visible.shift();
        assertEquals(length, expected?.length ?? -1);
        if (length >= 0) assertEquals(into.slice(0, length), expected);
      }
    }
  }
});

Deno.test("Ring keeps the order of what one batch is made of", {
  ignore,
}, () => {
  // Records that are put together beside the ring, and others between them.
  for (let seed = 1; seed <= 4; seed++) {
    const next = random(seed);
    const { memory, ring } = createRing(32 * 1024);
    using _ = memory;
    using writer = ring.writer();
    using reader = ring.reader();
    // The same buffers again and again go by words, other ones by bytes.
    const again = [0, 8, 64, 256].map((length) => new Uint8Array(length));
    const into = new Uint8Array(writer.longestRecord);
    const many = new Uint8Array(64 * 264);
    const lengths = new Int32Array(64);
    for (let round = 0; round < 200; round++) {
      const batch: Uint8Array[] = [];
      const count = Math.floor(next() * 150);
      for (let i = 0; i < count; i++) {
        const kind = next();
        let payload = again[Math.floor(next() * again.length)];
        if (kind < 0.1) payload = new Uint8Array(Math.floor(next() * 1000));
        else if (kind < 0.2) payload = new Uint8Array(Math.floor(next() * 70));
        crypto.getRandomValues(payload);
        if (kind > 0.95) {
          const view = writer.tryReserve(payload.length);
          // Dropped, or overtaken by the append below.
          if (view !== undefined) view[0] = 1;
        }
        if (!writer.tryAppend(payload)) break;
        batch.push(payload.slice());
      }
      assertEquals(reader.tryRead(into), -1);
      if (round % 3 === 0) writer.publish();
      else if (round % 3 === 1) {
        const view = writer.tryReserve(24);
        if (view === undefined) writer.publish();
        else {
          batch.push(view.fill(9).slice());
          writer.commit();
        }
      } else {
        // Eight bytes are never cut in two.
        const bytes = crypto.getRandomValues(new Uint8Array(8));
        const took = writer.tryWriteBytes(bytes);
        if (took > 0) batch.push(bytes.slice(0, took));
      }
      while (batch.length > 0) {
        if (next() < 0.5) {
          const length = reader.tryRead(into);
          assertEquals(into.slice(0, length), batch.shift());
          continue;
        }
        const most = batch.some(({ length }) => length > 264) ? 0 : 64;
        if (most === 0) {
          const length = reader.tryRead(into);
          assertEquals(into.slice(0, length), batch.shift());
          continue;
        }
        const read = reader.tryReadMany(many, lengths);
        assert(read > 0);
        for (let i = 0, at = 0; i < read; i++) {
          assertEquals(many.slice(at, at + lengths[i]), batch.shift());
          at += (lengths[i] + 7) & ~7;
        }
      }
      assertEquals(reader.tryRead(into), -1);
    }
  }
});

Deno.test(
  "RingWriter goes on with a batch after a payload that can't be read",
  {
    ignore,
  },
  () => {
    using memory = SharedMemory.anonymous({ size: Ring.byteLength(4096) });
    const ring = Ring.create(memory, { capacity: 4096 });
    using writer = ring.writer();
    using reader = ring.reader();
    const into = new Uint8Array(64);
    const gone = new Uint8Array(16);
    gone.buffer.transfer();
    for (const before of [0, 1, 2]) {
      // The batch before this one decides which way its first record goes.
      writer.tryWriteMany([new Uint8Array([1]), new Uint8Array([2])]);
      for (const id of [1, 2]) {
        assertEquals(reader.tryRead(into), 1);
        assertEquals(into[0], id);
      }
      for (let i = 0; i < before; i++) writer.tryAppend(new Uint8Array([3]));
      assertThrows(() => writer.tryAppend(gone), TypeError);
      writer.tryAppend(new Uint8Array([4]));
      assertEquals(reader.tryRead(into), -1);
      writer.publish();
      for (let i = 0; i <= before; i++) {
        assertEquals(reader.tryRead(into), 1);
        assertEquals(into[0], i < before ? 3 : 4);
      }
      assertEquals(reader.tryRead(into), -1);
    }
  },
);

Deno.test("Ring shows nothing of a batch whose producer was killed", {
  ignore,
}, async () => {
  const name = uniqueName();
  using memory = SharedMemory.create(name, { size: Ring.byteLength(4096) });
  const ring = Ring.create(memory, { capacity: 4096 });
  const child = spawnPeer(
    `const writer = shm.Ring.open(shm.SharedMemory.open(args[0])).writer();
     writer.tryWrite(new Uint8Array([1]));
     // More than fits beside the ring, so that some of it is in the ring.
     for (let i = 0; i < 30; i++) writer.tryAppend(new Uint8Array(100).fill(7));
     writer.tryAppend(new Uint8Array(400).fill(7));
     say("ready");
     setInterval(() => {}, 1000);`,
    [name],
  );
  assertEquals(await firstLine(child.stdout), "ready");
  await killPeer(child);
  using reader = ring.reader();
  const into = new Uint8Array(512);
  assertEquals(reader.tryRead(into), 1);
  assertEquals(reader.tryRead(into), -1);
  using writer = ring.writer();
  assert(writer.tryWrite(new Uint8Array([2])));
  assertEquals(reader.tryRead(into), 1);
  assertEquals(into[0], 2);
  assertEquals(reader.tryRead(into), -1);
});

Deno.test("Ring positions go over 2^31 and 2^32", { ignore }, () => {
  for (const start of [2 ** 31 - 64, 2 ** 32 - 64]) {
    const { memory, ring, words } = createRing(128);
    using _ = memory;
    words[TAIL] = start;
    using writer = ring.writer();
    using reader = ring.reader();
    const into = new Uint8Array(8);
    for (let i = 0; i < 50; i++) {
      assert(writer.tryWrite(new Uint8Array([i])));
      assertEquals(reader.tryRead(into), 1);
      assertEquals(into[0], i);
    }
  }
});

Deno.test("RingWriter.tryWrite says when the ring is full", { ignore }, () => {
  const { memory, ring } = createRing(64);
  using _ = memory;
  using writer = ring.writer();
  using reader = ring.reader();
  const payload = new Uint8Array(16);
  assert(writer.tryWrite(payload));
  assert(writer.tryWrite(payload));
  assertEquals(writer.tryWrite(payload), false);
  assertEquals(writer.tryWriteMany([payload]), 0);
  assertEquals(writer.tryReserve(16), undefined);
  assertEquals(reader.tryRead(new Uint8Array(16)), 16);
  assertEquals(reader.tryRead(new Uint8Array(16)), 16);
  assert(writer.tryWrite(payload));
});

Deno.test("RingReader.tryReadBytes reads records as one stream", {
  ignore,
}, () => {
  const { memory, ring } = createRing(1024);
  using _ = memory;
  using writer = ring.writer();
  using reader = ring.reader();
  writer.tryWriteMany([
    new Uint8Array([1, 2, 3]),
    new Uint8Array(0),
    new Uint8Array([4, 5]),
  ]);
  const into = new Uint8Array(2);
  const seen: number[] = [];
  for (let count; (count = reader.tryReadBytes(into)) > 0;) {
    seen.push(...into.subarray(0, count));
  }
  assertEquals(seen, [1, 2, 3, 4, 5]);
});

Deno.test("RingWriter.tryWriteBytes and tryReadBytes carry a stream of bytes", {
  ignore,
}, () => {
  for (const capacity of [64, 256, 4096]) {
    const { memory, ring } = createRing(capacity);
    using _ = memory;
    using writer = ring.writer();
    using reader = ring.reader();
    const next = random(capacity);
    let sent = 0;
    let received = 0;
    const into = new Uint8Array(300);
    while (received < 20_000) {
      const bytes = new Uint8Array(Math.floor(next() * 300))
        .map((_, i) => sent + i);
      const count = writer.tryWriteBytes(bytes);
      assert(count <= bytes.length);
      sent += count;
      const part = into.subarray(0, Math.floor(next() * 300));
      const read = reader.tryReadBytes(part);
      for (let i = 0; i < read; i++) {
        if (into[i] !== (received + i & 255)) throw new Error("wrong byte");
      }
      received += read;
    }
  }
});

Deno.test("Ring rejects misuse with the value and the limit", {
  ignore,
}, () => {
  const { memory, ring } = createRing(64);
  using _ = memory;
  assertThrows(() => Ring.create(memory, { capacity: 48 }), RangeError, "48");
  assertThrows(
    () => Ring.create(memory, { capacity: 64 }),
    Deno.errors.AlreadyExists,
  );
  assertThrows(
    () => Ring.create(memory, { capacity: 65536 }),
    RangeError,
    "needs 66048 bytes at offset 0",
  );
  assertThrows(
    () => Ring.open(memory, { offset: 4 }),
    RangeError,
    "multiple of 8",
  );
  assertThrows(
    () => Ring.open(memory, { offset: 1024 }),
    Deno.errors.NotFound,
  );
  using writer = ring.writer();
  using reader = ring.reader();
  assertThrows(
    () => writer.tryWrite(new Uint8Array(17)),
    RangeError,
    "record of 17 bytes exceeds its longest, 16",
  );
  assertThrows(() => writer.commit(), TypeError, "nothing is reserved");
  assertThrows(() => reader.release(), TypeError, "nothing was peeked");
  writer.tryWrite(new Uint8Array(10));
  assertThrows(
    () => reader.tryRead(new Uint8Array(9)),
    RangeError,
    "record of 10 bytes, the buffer holds 9",
  );
  assertEquals(reader.tryRead(new Uint8Array(10)), 10);
  assertThrows(() => ring.writer(), Deno.errors.Busy, `process ${Deno.pid}`);
  assertThrows(() => ring.reader(), Deno.errors.Busy, "is its consumer");
});

Deno.test("RingWriter drops a reservation when it writes something else", {
  ignore,
}, () => {
  const { memory, ring } = createRing(256);
  using _ = memory;
  using writer = ring.writer();
  using reader = ring.reader();
  const into = new Uint8Array(64);
  writer.tryReserve(8)!.fill(1);
  assert(writer.tryWrite(new Uint8Array([2])));
  assertThrows(() => writer.commit(), TypeError, "nothing is reserved");
  assertEquals([reader.tryRead(into), into[0]], [1, 2]);
  assertEquals(reader.tryRead(into), -1);
});

Deno.test("RingReader.release gives back nothing twice", { ignore }, () => {
  const { memory, ring } = createRing(256);
  using _ = memory;
  using writer = ring.writer();
  using reader = ring.reader();
  const into = new Uint8Array(64);
  for (let i = 0; i < 3; i++) {
    writer.tryWrite(new Uint8Array(8 * i + 1).fill(i));
  }
  assertEquals(reader.tryPeek()?.length, 1);
  assertEquals(reader.tryRead(into), 1); // the same one
  assertThrows(() => reader.release(), TypeError, "nothing was peeked");
  assertEquals(reader.tryRead(into), 9);
  // Read in part, then as a record: it comes whole, and the next one after it.
  assertEquals(reader.tryReadBytes(into.subarray(0, 5)), 5);
  assertEquals(reader.tryRead(into), 17);
  writer.tryWrite(new Uint8Array([7]));
  assertEquals(reader.tryReadBytes(into), 1);
});

Deno.test("Ring copies what a resizable buffer holds now", { ignore }, () => {
  const { memory, ring } = createRing(1024);
  using _ = memory;
  using writer = ring.writer();
  using reader = ring.reader();
  const buffer = new ArrayBuffer(16, { maxByteLength: 128 });
  const payload = new Uint8Array(buffer);
  const into = new Uint8Array(new ArrayBuffer(16, { maxByteLength: 128 }));
  for (const length of [16, 16, 16, 64, 64, 8, 8, 128]) {
    buffer.resize(length);
    into.buffer.resize(length);
    payload.fill(length);
    assert(writer.tryWrite(payload));
    assertEquals(reader.tryRead(into), length);
    assert(into.every((byte) => byte === length));
  }
});

Deno.test("Ring ends that are closed touch it no more", { ignore }, () => {
  const { memory, ring } = createRing(256);
  using _ = memory;
  const writer = ring.writer();
  const reader = ring.reader();
  writer.tryAppend(new Uint8Array([1]));
  writer.close(); // publishes
  writer.close();
  assertThrows(
    () => writer.tryWrite(new Uint8Array(1)),
    Deno.errors.BadResource,
    "closed on this side",
  );
  assertThrows(() => writer.tryReserve(1), Deno.errors.BadResource);
  using _next = ring.writer();
  assertEquals(reader.tryRead(new Uint8Array(8)), 1);
  reader.close();
  assertThrows(
    () => reader.tryRead(new Uint8Array(1)),
    Deno.errors.BadResource,
    "closed on this side",
  );
  using _again = ring.reader();
});

Deno.test("Ring says that the memory is closed", { ignore }, () => {
  const { memory, ring } = createRing(64);
  const writer = ring.writer();
  const reader = ring.reader();
  memory.close();
  assertThrows(
    () => reader.tryRead(new Uint8Array(9)),
    Deno.errors.BadResource,
  );
  assertThrows(
    () => writer.tryWrite(new Uint8Array(9)),
    Deno.errors.BadResource,
  );
  assertThrows(() => Ring.open(memory), Deno.errors.BadResource);
  writer.close();
  reader.close();
});

Deno.test("RingReader throws typed errors for lies in the ring", {
  ignore,
}, () => {
  const into = new Uint8Array(1024);
  for (const lie of [1, 7, 0x7fffffff, 57, -1, -64, -0x80000000, 41]) {
    const { memory, ring, words } = createRing(64);
    using _ = memory;
    using reader = ring.reader();
    words[RECORDS] = lie;
    assertThrows(
      () => reader.tryRead(into),
      Deno.errors.InvalidData,
      "Cannot use ring: corrupt",
    );
  }
  const { memory, ring, words } = createRing(64);
  using _ = memory;
  using writer = ring.writer();
  words[TAIL] = 4096; // a tail that the head never reached
  assertThrows(
    () => {
      for (let i = 0; i < 4; i++) writer.tryWrite(new Uint8Array(16));
    },
    Deno.errors.InvalidData,
    "corrupt, tail 4096",
  );
});

Deno.test("Ring.open refuses headers that can't be right", { ignore }, () => {
  for (
    const [at, value] of [
      [0, 1],
      [1, 2],
      [2, 0],
      [2, 63],
      [2, -64],
      [2, 0x40000000],
      [3, 1000],
    ]
  ) {
    const { memory, words } = createRing(64);
    using _ = memory;
    words[32 + at] = value;
    assertThrows(() => Ring.open(memory), Deno.errors.InvalidData);
  }
});

Deno.test("Ring survives random bytes over all of it", { ignore }, () => {
  const next = random(7);
  const into = new Uint8Array(4096);
  const lengths = new Int32Array(16);
  let errors = 0;
  for (let round = 0; round < 1000; round++) {
    const { memory, ring, words } = createRing(256);
    using _ = memory;
    using writer = ring.writer();
    using reader = ring.reader();
    const from = 128 / 4;
    const length = from + (512 + 256) / 4;
    for (let step = 0; step < 40; step++) {
      const at = from + Math.floor(next() * (length - from));
      words[at] = next() < 0.5
        ? Math.floor(next() * 2 ** 32)
        : Math.floor(next() * 300) - 150;
      try {
        writer.tryWrite(into.subarray(0, Math.floor(next() * 100)));
        reader.tryRead(into);
        reader.tryReadMany(into, lengths);
        reader.tryReadBytes(into.subarray(0, 50));
        if (reader.tryPeek() !== undefined) reader.release();
        Ring.open(memory);
      } catch (error) {
        errors++;
        assert(
          error instanceof Deno.errors.InvalidData ||
            error instanceof Deno.errors.NotFound, // version 0
          String(error),
        );
      }
    }
  }
  assert(errors > 100);
});

Deno.test("Ring waits for a record, for room, and gives up in time", {
  ignore,
}, async () => {
  const { memory, ring } = createRing(64);
  using _ = memory;
  using writer = ring.writer();
  using reader = ring.reader();
  const reading = reader.read();
  await writer.write(new Uint8Array([1]));
  assertEquals(await reading, new Uint8Array([1]));
  await assertRejects(() => reader.read({ timeout: 5 }), DOMException, "5 ms");
  await assertRejects(
    () => reader.read({ signal: AbortSignal.abort(new Error("enough")) }),
    Error,
    "enough",
  );
  const stop = new AbortController();
  const waiting = reader.read({ signal: stop.signal });
  stop.abort(new Error("stop"));
  await assertRejects(() => waiting, Error, "stop");
  for (let i = 0; i < 2; i++) await writer.write(new Uint8Array(16));
  const blocked = writer.write(new Uint8Array(16));
  await reader.read();
  await blocked;
  await assertRejects(
    () => writer.write(new Uint8Array(16), { timeout: 5 }),
    DOMException,
    "Cannot write to ring: timed out after 5 ms",
  );
});

Deno.test("Ring ends as streams do", { ignore }, async () => {
  const { memory, ring } = createRing(256);
  using _ = memory;
  using writer = ring.writer();
  using reader = ring.reader();
  const source = ReadableStream.from(
    Array.from({ length: 500 }, (_, i) => new Uint8Array([i, i >> 8])),
  );
  const sending = source.pipeTo(writer.writable);
  let count = 0;
  for await (const chunk of reader.readable) {
    assertEquals(chunk[0] | chunk[1] << 8, count++);
  }
  await sending;
  assertEquals(count, 500);
  assertEquals(await reader.read(), null);
  reader.close();
  using again = ring.writer();
  await assertRejects(
    async () => {
      for (let i = 0; i < 3; i++) await again.write(new Uint8Array(100));
    },
    ConnectionClosedError,
    "the consumer closed it",
  );
});

Deno.test("Ring carries a million records between two processes", {
  ignore,
}, async () => {
  const capacity = 65536;
  using memory = SharedMemory.create(uniqueName(), {
    size: Ring.byteLength(capacity),
  });
  using reader = Ring.create(memory, { capacity }).reader();
  const child = spawnPeer(
    `using m = shm.SharedMemory.open(args[0]);
     using writer = shm.Ring.open(m).writer();
     const words = new Int32Array(4), bytes = new Uint8Array(words.buffer);
     for (let i = 0; i < 1_000_000; i++) {
       words.fill(i);
       const part = bytes.subarray(0, 4 * (1 + (i & 3)));
       while (!writer.tryWrite(part)) await new Promise((r) => setImmediate(r));
     }`,
    [memory.name!],
  );
  let count = 0;
  const signal = AbortSignal.timeout(20_000);
  for (let record; (record = await reader.read({ signal })) !== null;) {
    const words = new Int32Array(record.buffer);
    if (words.length !== 1 + (count & 3) || !words.every((w) => w === count)) {
      throw new Error(`wrong record ${count}: ${words}`);
    }
    count++;
  }
  assertEquals(count, 1_000_000);
  assertEquals(await peerEnd(child), 0);
});

Deno.test(
  "RingReader tells that the producer was killed, and another takes over",
  {
    ignore,
  },
  async () => {
    using memory = SharedMemory.create(uniqueName(), {
      size: Ring.byteLength(4096),
    });
    const ring = Ring.create(memory, { capacity: 4096 });
    using reader = ring.reader();
    const child = spawnPeer(
      `globalThis.m = shm.SharedMemory.open(args[0]);
     globalThis.w = shm.Ring.open(m).writer();
     w.tryWrite(new Uint8Array([1]));
     w.tryReserve(100).fill(9); // never committed
     say("ready"); setInterval(() => {}, 1000);`,
      [memory.name!],
    );
    try {
      assertEquals(await firstLine(child.stdout), "ready");
      assertThrows(() => ring.writer(), Deno.errors.Busy, `${child.pid}`);
      assertEquals(await reader.read(), new Uint8Array([1]));
      const waiting = reader.read();
      await killPeer(child);
      const error = await assertRejects(() => waiting, ConnectionClosedError);
      assertEquals(error.code, "lost");
      using writer = ring.writer();
      writer.tryWrite(new Uint8Array([2]));
      assertEquals(await reader.read(), new Uint8Array([2]));
    } finally {
      await killPeer(child);
    }
  },
);
