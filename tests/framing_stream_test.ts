import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import {
  encodeFrame,
  FrameDecoderStream,
  FrameEncoderStream,
  FrameError,
  lengthPrefixed,
  lines,
  varint,
} from "../framing/mod.ts";
import { concat, encodeAll, FORMATS, utf8 } from "./_framing.ts";
import { Random } from "./_random.ts";

/** Lets every promise that can settle do so. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

for (const [name, { format, payload }] of Object.entries(FORMATS)) {
  Deno.test(`FrameEncoderStream and FrameDecoderStream give back frames of ${name}`, async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = new Random(seed);
    const payloads = Array.from({ length: 300 }, () => payload(random));
    // Bytes arrive in pieces that have nothing to do with the frames.
    const cut = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        for (let at = 0; at < chunk.length;) {
          const end = at + 1 + random.below(50);
          controller.enqueue(chunk.subarray(at, end));
          at = end;
        }
      },
    });
    const frames = ReadableStream.from(payloads)
      .pipeThrough(new FrameEncoderStream(format))
      .pipeThrough(cut)
      .pipeThrough(new FrameDecoderStream(format));
    assertEquals(await Array.fromAsync(frames), payloads, `seed ${seed}`);
  });
}

Deno.test("FrameDecoderStream emits views into the chunk", async () => {
  const chunk = encodeAll(varint(), [utf8("one"), utf8("two")]);
  const frames = await Array.fromAsync(
    ReadableStream.from([chunk]).pipeThrough(new FrameDecoderStream(varint())),
  );
  assertEquals(frames, [utf8("one"), utf8("two")]);
  assert(frames.every((frame) => frame.buffer === chunk.buffer));
});

Deno.test("FrameDecoderStream rejects a length above maxFrameLength", async () => {
  const stream = new FrameDecoderStream(lengthPrefixed(), {
    maxFrameLength: 4,
  });
  const chunk = encodeAll(lengthPrefixed(), [utf8("four"), utf8("fives")]);
  const reader = ReadableStream.from([chunk]).pipeThrough(stream).getReader();
  assertEquals((await reader.read()).value, utf8("four"));
  const error = await assertRejects(() => reader.read(), FrameError);
  assertEquals(error.code, "too-long");
});

Deno.test("FrameDecoderStream keeps the frames before bad bytes", async () => {
  const stream = new FrameDecoderStream(varint(), { maxFrameLength: 4 });
  const writer = stream.writable.getWriter();
  const written = assertRejects(
    () => writer.write(new Uint8Array([1, 7, 1, 8, 100])),
    FrameError,
  );
  await settle();
  const reader = stream.readable.getReader();
  assertEquals((await reader.read()).value, new Uint8Array([7]));
  assertEquals((await reader.read()).value, new Uint8Array([8]));
  await assertRejects(() => reader.read(), FrameError);
  await written;
});

Deno.test("FrameDecoderStream fails when its input ends inside a frame", async () => {
  const frame = encodeFrame(lengthPrefixed(), utf8("cut off"));
  const frames = ReadableStream.from([frame.subarray(0, 7)])
    .pipeThrough(new FrameDecoderStream(lengthPrefixed()));
  const error = await assertRejects(
    () => Array.fromAsync(frames),
    FrameError,
    "after 3 of 7 bytes",
  );
  assertEquals(error.code, "truncated");
});

Deno.test("FrameDecoderStream takes one chunk ahead and then waits", async () => {
  let pulled = 0;
  const source = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      pulled++;
      controller.enqueue(new Uint8Array([1, 7]));
    },
  }, { highWaterMark: 0 });
  const reader = source.pipeThrough(new FrameDecoderStream(varint()))
    .getReader();
  await settle();
  const ahead = pulled;
  assert(ahead <= 3, `${ahead} chunks were taken unasked`);
  for (let i = 0; i < 10; i++) await reader.read();
  await settle();
  assert(pulled <= ahead + 10);
  await reader.cancel();
});

Deno.test("FrameDecoderStream cancels its source with the reason", async () => {
  let reason: unknown;
  const source = new ReadableStream<Uint8Array>({
    cancel: (why) => void (reason = why),
  });
  const frames = source.pipeThrough(new FrameDecoderStream(varint()));
  await settle();
  const why = new Error("enough");
  await frames.cancel(why);
  await settle();
  assertStrictEquals(reason, why);
});

Deno.test("FrameDecoderStream passes an error of its source on", async () => {
  const cause = new Error("the cable");
  const source = new ReadableStream<Uint8Array>({
    start: (controller) => controller.error(cause),
  });
  const frames = source.pipeThrough(new FrameDecoderStream(varint()));
  assertStrictEquals(await assertRejects(() => Array.fromAsync(frames)), cause);
});

Deno.test("FrameEncoderStream makes one chunk of what was written in a turn", async () => {
  const stream = new FrameEncoderStream(varint());
  const reader = stream.readable.getReader();
  const first = reader.read();
  const writer = stream.writable.getWriter();
  for (const value of [1, 2, 3]) writer.write(new Uint8Array([value]));
  assertEquals((await first).value, new Uint8Array([1, 1, 1, 2, 1, 3]));
  writer.write(new Uint8Array([4]));
  assertEquals((await reader.read()).value, new Uint8Array([1, 4]));
  writer.close();
  assertEquals((await reader.read()).done, true);
});

Deno.test("FrameEncoderStream passes large payloads through without a copy", async () => {
  const payload = new Uint8Array(100_000);
  const chunks = await Array.fromAsync(
    ReadableStream.from([payload]).pipeThrough(
      new FrameEncoderStream(lengthPrefixed()),
    ),
  );
  assertEquals(chunks.map((chunk) => chunk.length), [4, 100_000]);
  assertStrictEquals(chunks[1], payload);
});

Deno.test("FrameEncoderStream never writes again to a chunk that it emitted", async () => {
  const stream = new FrameEncoderStream(lines());
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  const chunks: Uint8Array[] = [];
  for (let i = 0; i < 10_000; i++) {
    writer.write(utf8(`line ${i}`));
    if (i % 7 === 0) chunks.push((await reader.read()).value!);
  }
  writer.close();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
  }
  const expected = Array.from({ length: 10_000 }, (_, i) => `line ${i}\n`).join(
    "",
  );
  assertEquals(new TextDecoder().decode(concat(chunks)), expected);
});

Deno.test("FrameEncoderStream waits until its chunks are read", async () => {
  const stream = new FrameEncoderStream(lengthPrefixed());
  const writer = stream.writable.getWriter();
  let written = 0;
  const producer = (async () => {
    for (let i = 0; i < 1000; i++) {
      await writer.ready;
      writer.write(new Uint8Array(10_000));
      written += 10_000;
    }
    await writer.close();
  })();
  await settle();
  assert(
    written < 300_000,
    `${written} bytes were taken though none were read`,
  );
  let read = 0;
  for await (const chunk of stream.readable) {
    read += chunk.length;
    assert(written - read < 300_000);
  }
  await producer;
  assertEquals(read, 1000 * 10_004);
});

Deno.test("FrameEncoderStream rejects a payload above maxFrameLength", async () => {
  const stream = new FrameEncoderStream(varint(), { maxFrameLength: 2 });
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  writer.write(new Uint8Array(2));
  const written = assertRejects(
    () => writer.write(new Uint8Array(3)),
    FrameError,
  );
  assertEquals((await reader.read()).value, new Uint8Array([2, 0, 0]));
  const error = await assertRejects(
    () => reader.read(),
    FrameError,
    "length 3 exceeds maxFrameLength 2",
  );
  assertEquals(error.code, "too-long");
  await written;
});

Deno.test("FrameEncoderStream rejects what is no Uint8Array", async () => {
  const writer = new FrameEncoderStream(varint()).writable.getWriter();
  const closed = assertRejects(() => writer.closed, TypeError);
  await assertRejects(
    () => writer.write("text" as unknown as Uint8Array),
    TypeError,
    'expected a Uint8Array, received "text"',
  );
  await closed;
});

Deno.test("FrameEncoderStream tells its writer that the reader cancelled", async () => {
  const stream = new FrameEncoderStream(varint());
  const writer = stream.writable.getWriter();
  const why = new Error("enough");
  const closed = assertRejects(() => writer.closed);
  await stream.readable.cancel(why);
  assertStrictEquals(await closed, why);
});
