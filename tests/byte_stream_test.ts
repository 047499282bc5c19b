// The streams of a connection over a transport in memory: what is read and
// written when, and whose memory it is.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { within } from "../_async/wait.ts";
import { ByteConnection, type ByteIo } from "../_transport/connection.ts";
import { ReadBuffer } from "../_transport/read_buffer.ts";

interface MemoryIo extends ByteIo {
  /** Gives `bytes` to the reads; `null` is the end. */
  give(bytes: Uint8Array | null): void;
  /** What was written, in order. */
  readonly written: number[];
  /** How many reads are under way. */
  readonly reading: number;
}

/** Takes at most `most` bytes with each write. */
function memory(most = Infinity): MemoryIo {
  const given: (Uint8Array | null)[] = [];
  const written: number[] = [];
  let wake: (() => void) | undefined;
  let reading = 0;
  return {
    written,
    get reading() {
      return reading;
    },
    give(bytes) {
      given.push(bytes);
      wake?.();
    },
    async read(into) {
      reading++;
      while (given.length === 0) {
        await new Promise<void>((resolve) => wake = resolve);
      }
      reading--;
      const next = given.shift()!;
      if (next === null) return null;
      const count = Math.min(next.length, into.length);
      into.set(next.subarray(0, count));
      if (count < next.length) given.unshift(next.subarray(count));
      return count;
    },
    write(bytes) {
      const part = bytes.subarray(0, most);
      written.push(...part);
      return Promise.resolve(part.length);
    },
    closeWrite() {},
    close() {},
  };
}

const connect = (io: ByteIo) =>
  new ByteConnection(io, { local: "test:", remote: "test:peer" });
const bytes = (...values: number[]) => new Uint8Array(values);
const soon = <T>(promise: Promise<T>) =>
  within(promise, "Cannot read", { timeout: 5000 });

Deno.test("ReadBuffer starts small, grows while reads fill it, and shrinks again", () => {
  const buffer = new ReadBuffer();
  assertEquals(buffer.space.length, 1024);
  const sizes = [];
  for (let n = 0; n < 6; n++) {
    sizes.push(buffer.space.length);
    buffer.take(buffer.space.length);
  }
  assertEquals(sizes, [1024, 4096, 16_384, 65_536, 262_144, 262_144]);
  for (let n = 0; n < 6; n++) buffer.take(10);
  assertEquals(buffer.space.length, 1024);
});

Deno.test("ReadBuffer never hands out memory twice, nor much more than a chunk fills", () => {
  const buffer = new ReadBuffer();
  const chunks: Uint8Array[] = [];
  for (let n = 0; n < 300; n++) {
    const { space } = buffer;
    const count = 1 + (n * 7919) % space.length;
    space.fill(n & 255, 0, count);
    const chunk = buffer.take(n % 4 === 0 ? space.length : count);
    assert(chunk.buffer.byteLength <= chunk.length * 4);
    if (n % 4 !== 0) chunks[n] = chunk;
  }
  chunks.forEach((chunk, n) =>
    assert(chunk.every((byte) => byte === (n & 255)), `chunk ${n} was changed`)
  );
});

Deno.test("a connection reads nothing before somebody asks", async () => {
  const io = memory();
  const connection = connect(io);
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(io.reading, 0);
  const reader = connection.readable.getReader();
  const reading = reader.read();
  assertEquals(io.reading, 1);
  io.give(bytes(1));
  assertEquals((await reading).value, bytes(1));
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(io.reading, 0);
  connection.abort();
});

Deno.test("reads asked for at once are answered in order, one read at a time", async () => {
  const io = memory();
  const connection = connect(io);
  const reader = connection.readable.getReader();
  const reads = [reader.read(), reader.read(), reader.read(), reader.read()];
  for (let n = 1; n <= 3; n++) {
    await new Promise((resolve) => setTimeout(resolve));
    assertEquals(io.reading, 1);
    io.give(bytes(n));
    assertEquals((await soon(reads[n - 1])).value, bytes(n));
  }
  io.give(null);
  assertEquals((await soon(reads[3])).done, true);
  await connection.close();
});

Deno.test("BYOB reads asked for at once are answered in order", async () => {
  const io = memory();
  const connection = connect(io);
  const reader = connection.readable.getReader({ mode: "byob" });
  const reads = [1, 2, 3].map(() => reader.read(new Uint8Array(8)));
  for (let n = 1; n <= 2; n++) {
    io.give(bytes(n, n));
    assertEquals((await soon(reads[n - 1])).value, bytes(n, n));
  }
  io.give(null);
  assertEquals((await soon(reads[2])).done, true);
  await connection.close();
});

Deno.test("a BYOB reader's minimum is filled by several reads", async () => {
  const io = memory();
  const connection = connect(io);
  const reader = connection.readable.getReader({ mode: "byob" });
  const reading = reader.read(new Uint8Array(8), { min: 5 });
  for (let n = 1; n <= 5; n++) {
    io.give(bytes(n));
    await new Promise((resolve) => setTimeout(resolve));
  }
  assertEquals((await soon(reading)).value, bytes(1, 2, 3, 4, 5));
  connection.abort();
});

Deno.test("what a reader that left had asked for goes to the next reader", async () => {
  for (const next of ["default", "byob"] as const) {
    const io = memory();
    const connection = connect(io);
    const first = connection.readable.getReader();
    const left = first.read();
    first.releaseLock();
    await assertRejects(() => left, TypeError);
    io.give(bytes(1, 2));
    const value = next === "default"
      ? (await soon(connection.readable.getReader().read())).value
      : (await soon(
        connection.readable.getReader({ mode: "byob" })
          .read(new Uint8Array(8)),
      )).value;
    assertEquals(value, bytes(1, 2), next);
    connection.abort();
  }
});

Deno.test("writable goes on where the transport takes a part, in order", async () => {
  const io = memory(3);
  const connection = connect(io);
  const writer = connection.writable.getWriter();
  const all = Array.from({ length: 40 }, (_, n) => n);
  for (const length of [0, 1, 3, 4, 12, 20]) {
    writer.write(Uint8Array.from(all.splice(0, length))).catch(() => {});
  }
  await connection.close();
  assertEquals(io.written, Array.from({ length: 40 }, (_, n) => n));
});

Deno.test("a write that fails half way breaks the connection", async () => {
  const io = memory(1);
  const { write } = io;
  let writes = 0;
  io.write = (chunk) =>
    ++writes === 2 ? Promise.reject(new Error("broken")) : write(chunk);
  const connection = connect(io);
  const writer = connection.writable.getWriter();
  writer.closed.catch(() => {});
  const error = await assertRejects(() => writer.write(bytes(1, 2, 3)), Error);
  assertEquals((error.cause as Error).message, "broken");
  assertEquals(await assertRejects(() => connection.closed), error);
});

const enough = new Error("enough");

/** As `memory`, and takes what there is room for at once. */
function direct(room = Infinity): MemoryIo & { room: number; calls: number } {
  const io = memory();
  return Object.assign(io, {
    room,
    calls: 0,
    tryWrite(this: { room: number; calls: number }, part: Uint8Array) {
      this.calls++;
      const count = Math.min(part.length, this.room);
      this.room -= count;
      io.written.push(...part.subarray(0, count));
      return count;
    },
  });
}

Deno.test("a writer writes at once what the transport has room for, in order", async () => {
  const io = direct(7);
  await using connection = connect(io);
  const { writable } = connection;
  const writer = writable.getWriter();
  assert(writable instanceof WritableStream);
  assert(writer instanceof WritableStreamDefaultWriter);

  writer.write(bytes(1, 2, 3));
  assertEquals(io.written, [1, 2, 3]); // no promise had its turn
  writer.write(bytes(4, 5, 6, 7, 8, 9)); // two find no room
  assertEquals(io.written, [1, 2, 3, 4, 5, 6, 7]);
  io.room = Infinity;
  writer.write(bytes());
  await soon(writer.write(bytes(10))); // waits for those
  assertEquals(io.written, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  await soon(writer.ready);
  writer.releaseLock();

  await soon(ReadableStream.from([bytes(11), bytes(12)]).pipeTo(writable));
  assertEquals(io.written.slice(10), [11, 12]);
});

Deno.test("a writer writes nothing past the end of its stream", async () => {
  const ends: Record<string, (own: ByteConnection) => unknown> = {
    "its close": ({ writable }) => writable.getWriter().close(),
    "its abort": ({ writable }) => writable.getWriter().abort(enough),
    "the stream's close": ({ writable }) => writable.close(),
    "the stream's abort": ({ writable }) => writable.abort(enough),
    "the connection's abort": (own) => own.abort(),
    "the connection's close": (own) => own.close(),
  };
  for (const [name, end] of Object.entries(ends)) {
    const io = direct();
    const connection = connect(io);
    const ended = Promise.resolve(end(connection)).catch(() => {});
    const writer = connection.writable.locked
      ? undefined
      : connection.writable.getWriter();
    writer?.closed.catch(() => {});
    if (writer !== undefined) {
      await assertRejects(() => soon(writer.write(bytes(1))), Error);
    }
    assertEquals(io.written, [], name);
    io.give(null);
    await soon(ended);
    connection.abort();
  }
});

Deno.test("a writer that was closed, aborted or let go writes nothing", async () => {
  const ends: Record<string, (own: WritableStreamDefaultWriter) => unknown> = {
    close: (writer) => writer.close(),
    abort: (writer) => writer.abort(enough),
    releaseLock: (writer) => writer.releaseLock(),
  };
  for (const [name, end] of Object.entries(ends)) {
    const io = direct();
    const connection = connect(io);
    const writer = connection.writable.getWriter();
    end(writer);
    await assertRejects(() => soon(writer.write(bytes(1))), Error);
    assertEquals(io.written, [], name);
    connection.abort();
  }
});

Deno.test("a timer has its turn while a writer always finds room", async () => {
  await using connection = connect(direct());
  const writer = connection.writable.getWriter();
  let over = false;
  setTimeout(() => over = true, 1);
  const piece = bytes(1);
  for (let n = 0; !over; n++) {
    assert(n < 1e6, "no timer had its turn");
    await writer.ready;
    await writer.write(piece);
  }
});
