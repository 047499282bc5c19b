import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BufferedWriter } from "../pipe/mod.ts";
import { Random } from "./_random.ts";

interface Sink {
  writable: WritableStream<Uint8Array>;
  chunks: Uint8Array[];
  closed: boolean;
}

function sink(write?: (chunk: Uint8Array) => Promise<void> | void): Sink {
  const result: Sink = {
    chunks: [],
    closed: false,
    writable: new WritableStream({
      async write(chunk) {
        result.chunks.push(chunk);
        await write?.(chunk);
      },
      close() {
        result.closed = true;
      },
    }),
  };
  return result;
}

const decode = (chunks: Uint8Array[]) => {
  const decoder = new TextDecoder();
  return chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join(
    "",
  );
};

Deno.test("BufferedWriter sends a turn's writes as one chunk at its end", async () => {
  const { writable, chunks } = sink();
  await using writer = new BufferedWriter(writable);
  for (let line = 0; line < 10; line++) await writer.write(`${line}\n`);
  assertEquals(chunks.length, 0);
  assertEquals(writer.buffered, 20);
  await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(decode(chunks), "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
  assertEquals(chunks.length, 1);
  await writer.write("next turn");
  await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(chunks.length, 2);
});

Deno.test("BufferedWriter waits for flush without flushOnTurnEnd", async () => {
  const { writable, chunks } = sink();
  await using writer = new BufferedWriter(writable, { flushOnTurnEnd: false });
  writer.write("a");
  await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(chunks.length, 0);
  await writer.flush();
  assertEquals(decode(chunks), "a");
  await writer.flush(); // nothing is there
  assertEquals(chunks.length, 1);
});

Deno.test("BufferedWriter keeps bytes and text in order", async () => {
  for (let seed = 1; seed <= 50; seed++) {
    const generator = new Random(seed);
    const next = (end: number) => generator.below(end);
    const { writable, chunks } = sink();
    const writer = new BufferedWriter(writable, {
      highWaterMark: 1 + next(300),
    });
    let expected = "";
    for (let count = 0; count < 200; count++) {
      const text = "añ€😀".repeat(next(20)) + count;
      expected += text;
      await writer.write(next(2) ? text : new TextEncoder().encode(text));
      if (next(20) === 0) await writer.flush();
    }
    await writer.close();
    assertEquals(decode(chunks), expected);
  }
});

Deno.test("BufferedWriter copies bytes: the caller may use them again", async () => {
  const { writable, chunks } = sink();
  await using writer = new BufferedWriter(writable);
  const bytes = new Uint8Array([1, 2]);
  for (let round = 0; round < 3; round++) {
    bytes[0] = round;
    writer.write(bytes);
  }
  await writer.flush();
  assertEquals(chunks, [new Uint8Array([0, 2, 1, 2, 2, 2])]);
});

Deno.test("BufferedWriter asks to wait when the stream has enough", async () => {
  const gate = Promise.withResolvers<void>();
  const { writable, chunks } = sink(() => gate.promise);
  const writer = new BufferedWriter(writable, { highWaterMark: 10 });
  assertEquals(writer.write("123456789"), undefined);
  const waiting = writer.write("0");
  assert(waiting instanceof Promise);
  let waited = false;
  waiting.then(() => waited = true);
  await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(waited, false);
  gate.resolve();
  await waiting;
  await writer.close();
  assertEquals(chunks.length, 1);
});

Deno.test("BufferedWriter throws what broke the stream, from every method", async () => {
  const broken = new Error("broken");
  const { writable } = sink(() => Promise.reject(broken));
  const writer = new BufferedWriter(writable);
  writer.write("a");
  assertEquals(await assertRejects(() => writer.flush()), broken);
  assertEquals(assertThrows(() => writer.write("b")), broken);
  assertEquals(await assertRejects(() => writer.flush()), broken);
  assertEquals(await assertRejects(() => writer.close()), broken);
});

Deno.test("BufferedWriter closes once, and refuses to write afterwards", async () => {
  const target = sink();
  const writer = new BufferedWriter(target.writable);
  writer.write("last");
  await Promise.all([writer.close(), writer.close()]);
  assertEquals([decode(target.chunks), target.closed], ["last", true]);
  for (const chunk of ["a", new Uint8Array(1)]) {
    assertThrows(() => writer.write(chunk), TypeError, "is closed");
  }
});

Deno.test("BufferedWriter abort drops what was gathered", async () => {
  const target = sink();
  {
    await using writer = new BufferedWriter(target.writable);
    writer.write("dropped");
    await writer.abort(new Error("enough"));
    assertThrows(() => writer.write("a"), Error, "enough");
  }
  assertEquals([target.chunks.length, target.closed], [0, false]);
});

Deno.test("BufferedWriter checks its arguments", async () => {
  const { writable } = sink();
  assertThrows(
    () => new BufferedWriter(writable, { highWaterMark: 0 }),
    RangeError,
    "highWaterMark",
  );
  await using writer = new BufferedWriter(writable);
  assertThrows(
    () => writer.write(5 as unknown as string),
    TypeError,
    "expected a Uint8Array or a string, received 5",
  );
  assertThrows(() => new BufferedWriter(writable), TypeError);
});

Deno.test("BufferedWriter sends chunks of bytes whole, none above highWaterMark", async () => {
  const { writable, chunks } = sink();
  await using writer = new BufferedWriter(writable, { highWaterMark: 10 });
  for (let round = 0; round < 3; round++) {
    for (let at = 0; at < 6; at++) await writer.write(new Uint8Array(4));
  }
  await writer.write(new Uint8Array(3));
  await writer.write(new Uint8Array(25)); // longer than all that is gathered
  await writer.flush();
  assertEquals(
    chunks.map(({ length }) => length),
    [8, 8, 8, 8, 8, 8, 8, 8, 8, 3, 25],
  );
});

Deno.test("BufferedWriter asks to wait where bytes leave to make room", async () => {
  const gate = Promise.withResolvers<void>();
  const { writable, chunks } = sink(() => gate.promise);
  const writer = new BufferedWriter(writable, { highWaterMark: 10 });
  assertEquals(writer.write(new Uint8Array(8)), undefined);
  const waiting = writer.write(new Uint8Array(4));
  assert(waiting instanceof Promise);
  assertEquals(writer.buffered, 4);
  gate.resolve();
  await waiting;
  await writer.close();
  assertEquals(chunks.map(({ length }) => length), [8, 4]);
});

Deno.test("BufferedWriter keeps nothing of what it refuses", async () => {
  const { writable } = sink(() => Promise.reject(new Error("broken")));
  const writer = new BufferedWriter(writable);
  writer.write("a");
  await assertRejects(() => writer.flush());
  for (let round = 0; round < 3; round++) {
    assertThrows(() => writer.write("refused"), Error, "broken");
    assertEquals(writer.buffered, 0);
  }
});
