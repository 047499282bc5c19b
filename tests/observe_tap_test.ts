// What a tap records, and that nothing it does harms the connection.

import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  channel,
  type Codec,
  encodeFrame,
  FrameError,
  json,
  lengthPrefixed,
  lines,
  msgpack,
} from "../framing/mod.ts";
import {
  jsonLinesSink,
  pcapngSink,
  tap,
  type TapDataRecord,
  type TapOptions,
  type TapRecord,
  TapSink,
  textSink,
} from "../observe/mod.ts";
import { connectUnix, listenUnix } from "../socket/mod.ts";
import { concat, decodeAll, duplexPair, FORMATS, utf8 } from "./_framing.ts";
import { Random } from "./_random.ts";
import { temporaryDirectory } from "./_tools.ts";

const unix = Deno.build.os !== "windows";

/** A sink that keeps what it gets. */
function recorder(): { sink: TapSink; records: TapRecord[] } {
  const records: TapRecord[] = [];
  return {
    records,
    sink: new TapSink({ write: (batch) => void records.push(...batch) }),
  };
}

/** Writes the pieces into a tapped pipe and reads them back. */
async function pass(
  pieces: readonly Uint8Array[],
  options: TapOptions,
  sink: TapSink,
): Promise<Uint8Array> {
  const pipe = tap(
    new TransformStream<Uint8Array, Uint8Array>(),
    sink,
    options,
  );
  const reading = new Response(pipe.readable as BodyInit).bytes();
  const writer = pipe.writable.getWriter();
  for (const piece of pieces) await writer.write(piece);
  await writer.close();
  return await reading;
}

function dataOf(records: readonly TapRecord[]): TapDataRecord[] {
  return records.filter((record): record is TapDataRecord =>
    record.kind === "frame" || record.kind === "bytes"
  );
}

for (const [name, { format, payload }] of Object.entries(FORMATS)) {
  Deno.test(`tap records each ${name} frame and passes random pieces unchanged`, async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = new Random(seed);
    const payloads = Array.from({ length: 30 }, () => payload(random));
    const wire = concat(payloads.map((one) => encodeFrame(format, one)));
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < wire.length;) {
      const end = at + 1 + random.below(80);
      pieces.push(wire.subarray(at, end));
      at = end;
    }
    const { sink, records } = recorder();
    const passed = await pass(pieces, { format }, sink);
    await sink.close();
    assertEquals(passed, wire, `seed ${seed}`);
    const expected = decodeAll(format, [wire]);
    for (const direction of ["sent", "received"] as const) {
      const seen = dataOf(records).filter((one) => one.direction === direction);
      assertEquals(seen.map((one) => one.bytes), expected, `seed ${seed}`);
      let offset = 0;
      for (const one of seen) {
        assertEquals([one.kind, one.offset], ["frame", offset]);
        offset += one.wireLength;
      }
      assertEquals(offset, wire.length);
    }
  });
}

Deno.test("tap records both directions, ends and decoded messages of a channel", async () => {
  const { sink, records } = recorder();
  const [here, there] = duplexPair();
  const options = { format: lines(), codec: json };
  const client = channel<unknown, unknown>(
    tap(here, sink, { ...options, name: "client" }),
    options,
  );
  const server = channel<unknown, unknown>(there, options);
  await client.send({ id: 1 });
  assertEquals(await server.receive(), { id: 1 });
  await server.send({ ok: true });
  await client.receive();
  await Promise.all([client.close(), server.close()]);
  await sink.close();
  assertEquals(records.map((record) => record.kind).slice(0, 3), [
    "open",
    "frame",
    "frame",
  ]);
  const [sent, received] = dataOf(records);
  assertEquals([sent.direction, sent.message], ["sent", { id: 1 }]);
  assertEquals([received.direction, received.message], [
    "received",
    { ok: true },
  ]);
  assert(sent.time <= received.time);
  assert(Math.abs(sent.time - Date.now()) < 60_000);
  assertEquals(sent.connection.name, "client");
  assertEquals(
    records.filter((record) => record.kind === "end").map((record) =>
      record.direction
    ).sort(),
    ["received", "sent"],
  );
});

Deno.test("tap in raw mode keeps a bounded part of each chunk", async () => {
  const { sink, records } = recorder();
  const chunk = new Uint8Array(100_000).fill(7);
  await pass([chunk], { captureLength: 10 }, sink);
  await sink.close();
  const [sent] = dataOf(records);
  assertEquals([sent.kind, sent.length, sent.bytes.length, sent.wireLength], [
    "bytes",
    100_000,
    10,
    100_000,
  ]);
  assertEquals(sent.bytes.buffer.byteLength, 10, "keeps the chunk alive");
});

Deno.test("tap neither decodes nor keeps a frame longer than captureLength", async () => {
  const { sink, records } = recorder();
  const format = lengthPrefixed();
  const frame = encodeFrame(format, msgpack.encode("x".repeat(1000)));
  await pass([frame], { format, codec: msgpack, captureLength: 100 }, sink);
  await sink.close();
  const [sent] = dataOf(records);
  assertEquals("message" in sent, false);
  assertEquals([sent.length, sent.bytes.length], [1003, 100]);
});

Deno.test("tap shows bytes that are no frame and goes on with raw bytes", async () => {
  const { sink, records } = recorder();
  const format = lengthPrefixed();
  const good = encodeFrame(format, utf8("good"));
  // The length in the wrong byte order: the bug that this is for.
  const bad = encodeFrame(lengthPrefixed({ endian: "little" }), utf8("bad"));
  const passed = await pass([concat([good, bad]), utf8("more")], {
    format,
  }, sink);
  await sink.close();
  assertEquals(passed, concat([good, bad, utf8("more")]));
  const sent = records.filter((record) =>
    "direction" in record && record.direction === "sent"
  );
  assertEquals(sent.map((record) => record.kind), [
    "frame",
    "malformed",
    "bytes",
    "bytes",
    "end",
  ]);
  assertEquals(dataOf(sent)[1].bytes, bad);
  assertEquals(dataOf(sent)[1].offset, good.length);
  assert(sent[1].kind === "malformed" && sent[1].error instanceof FrameError);
  assertMatch(sent[1].error.message, /length 50331648 exceeds/);
});

Deno.test("tap records a frame that the stream's end cut", async () => {
  const { sink, records } = recorder();
  const format = lengthPrefixed();
  const frame = encodeFrame(format, utf8("hello"));
  await pass([frame.subarray(0, 6)], { format }, sink);
  await sink.close();
  const cut = records.find((record) => record.kind === "malformed");
  assertMatch((cut!.error as Error).message, /ended after 2 of 5 bytes/);
});

Deno.test("tap tells of a frame that stays partial", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  const partial = Promise.withResolvers<TapRecord>();
  const format = lengthPrefixed();
  await using listener = await listenUnix({ path });
  await using client = tap(await connectUnix({ path }), (record) => {
    if (record.kind === "partial") partial.resolve(record);
  }, { format, partialFrameNotice: 5 });
  await using server = await listener.accept();
  const reader = client.readable.getReader();
  const reading = reader.read();
  const rest = reader.read(); // whoever waits for the rest keeps the process up
  const writer = server.writable.getWriter();
  await writer.write(encodeFrame(format, utf8("hello")).subarray(0, 6));
  await reading;
  const record = await partial.promise;
  assert(record.kind === "partial");
  assertEquals([record.direction, record.buffered, record.expected], [
    "received",
    2,
    5,
  ]);
  assertEquals(record.bytes, encodeFrame(format, utf8("he")).with(3, 5));
  await server.close();
  assertEquals((await rest).done, true);
});

Deno.test("tap whose sink still drains holds no timer", async () => {
  const [here, there] = duplexPair();
  const written = Promise.withResolvers<void>();
  const tapped = tap(here, (record) => {
    if (record.kind !== "open") return;
    // Queued while the first batch is written: the rest waits for a turn.
    writer.write(utf8("more"));
    written.resolve();
  });
  const writer = tapped.writable.getWriter();
  await written.promise;
  await there.readable.getReader().read();
  // The sanitizer sees what is left here.
});

Deno.test("tap records the error of a message that the codec refuses", async () => {
  const { sink, records } = recorder();
  await pass([utf8("{nonsense\n")], { format: lines(), codec: json }, sink);
  await sink.close();
  const [sent] = dataOf(records);
  assert(sent.error instanceof FrameError);
  assertEquals(sent.bytes, utf8("{nonsense"));
});

Deno.test("tap that is off returns the duplex itself", () => {
  const [here] = duplexPair();
  const { sink } = recorder();
  assertStrictEquals(tap(here, sink, { enabled: false }), here);
});

Deno.test("tap can be turned off and on in the middle of a frame", async () => {
  const { sink, records } = recorder();
  const format = lengthPrefixed();
  const pipe = tap(new TransformStream<Uint8Array, Uint8Array>(), sink, {
    format,
  });
  const reader = pipe.readable.getReader();
  const writer = pipe.writable.getWriter();
  const pieces = [
    encodeFrame(format, utf8("first")),
    encodeFrame(format, utf8("second")),
    encodeFrame(format, utf8("third")),
  ];
  const write = async (bytes: Uint8Array) => {
    writer.write(bytes).catch(() => {});
    await reader.read();
  };
  await write(pieces[0]);
  sink.enabled = false;
  await write(concat([pieces[1], pieces[2].subarray(0, 3)]));
  sink.enabled = true;
  await write(pieces[2].subarray(3));
  await sink.flush();
  await writer.abort();
  const sent = dataOf(records).filter(({ direction }) => direction === "sent");
  assertEquals(sent.map(({ bytes }) => bytes), [utf8("first"), utf8("third")]);
  await sink.close();
});

Deno.test("tap shows only what redact returns, to every sink", async () => {
  const secret = "hunter2";
  const options: TapOptions = {
    format: lines(),
    codec: json,
    redact: ({ message }) => {
      if ((message as { hidden?: boolean }).hidden) return undefined;
      return { message: { ...message as object, password: "***" } };
    },
  };
  const directory = await Deno.makeTempDir();
  const pieces = [
    utf8(`{"user":"ann","password":"${secret}"}\n`),
    utf8(`{"hidden":true,"password":"${secret}"}\n`),
  ];
  let text = "";
  const sinks = [
    textSink({ print: (line) => text += line }),
    jsonLinesSink(`${directory}/a.jsonl`),
    pcapngSink(`${directory}/a.pcapng`),
  ];
  for (const sink of sinks) {
    await pass(pieces, options, sink);
    await sink.close();
  }
  const decode = (name: string) =>
    new TextDecoder("latin1").decode(Deno.readFileSync(`${directory}/${name}`));
  for (const output of [text, decode("a.jsonl"), decode("a.pcapng")]) {
    assert(output.includes("ann"), output);
    assert(!output.includes(secret), output);
    assert(!output.includes("hidden"), output);
  }
  await Deno.remove(directory, { recursive: true });
});

Deno.test("tap leaves out a record whose redact throws, and says so once", async () => {
  const { records } = recorder();
  const errors: unknown[] = [];
  const sink = new TapSink({
    write: (batch) => void records.push(...batch),
  }, { onError: (error) => errors.push(error) });
  const passed = await pass([utf8("a"), utf8("b")], {
    redact: () => {
      throw new Error("redact is broken");
    },
  }, sink);
  await sink.close();
  assertEquals(passed, utf8("ab"));
  assertEquals(dataOf(records), []);
  assertEquals(errors.map(String), ["Error: redact is broken"]);
  assertEquals(sink.stats.failed, 4);
});

Deno.test("tap with a sink that never answers drops records and nothing else", async () => {
  const never = Promise.withResolvers<void>();
  const records: TapRecord[] = [];
  const sink = new TapSink({
    write: async (batch) => {
      records.push(...batch);
      await never.promise;
    },
  }, { maxQueuedRecords: 10 });
  const chunks = Array.from({ length: 500 }, (_, i) => new Uint8Array([i]));
  assertEquals(await pass(chunks, {}, sink), concat(chunks));
  const { dropped, queued, written } = sink.stats;
  assertEquals(queued, 10);
  assertEquals(written, 0);
  // The open record, 500 chunks and an end each way.
  assertEquals(dropped + queued + records.length, 1003);
  await assertRejects(
    () => sink.flush({ timeout: 1 }),
    DOMException,
    "timed out",
  );
  never.resolve();
  await sink.close();
  const told = records.filter((record) => record.kind === "dropped");
  assertEquals(told.map(({ count }) => count), [dropped]);
});

Deno.test("tap bounds the bytes that wait for a sink", async () => {
  const never = Promise.withResolvers<void>();
  const sink = new TapSink({ write: () => never.promise }, {
    maxQueuedBytes: 1000,
  });
  const chunks = Array.from({ length: 50 }, () => new Uint8Array(100));
  assertEquals((await pass(chunks, {}, sink)).length, 5000);
  assert(sink.stats.queued <= 13, `${sink.stats.queued} records wait`);
  never.resolve();
  await sink.close();
});

Deno.test("tap with a sink that throws goes on, and says so once", async () => {
  const errors: unknown[] = [];
  const sink = new TapSink({
    write() {
      throw new Error("the sink is broken");
    },
  }, {
    onError(error) {
      errors.push(error);
      throw new Error("so is the hook");
    },
  });
  assertEquals(await pass([utf8("a"), utf8("b")], {}, sink), utf8("ab"));
  await sink.close();
  assertEquals(errors.map(String), ["Error: the sink is broken"]);
  assertEquals(sink.stats.written, 0);
  assert(sink.stats.failed > 0);
});

for (const make of [textSinkOf, jsonLinesSink, pcapngSink]) {
  Deno.test({
    name: `tap on a full disk goes on, and ${make.name} says so once`,
    ignore: Deno.build.os !== "linux",
    async fn() {
      await using directory = await temporaryDirectory();
      const path = `${directory.path}/a.sock`;
      const errors: unknown[] = [];
      await using sink = make("/dev/full", {
        onError: (error) => errors.push(error),
      });
      await using listener = await listenUnix({ path });
      await using client = channel<number, number>(
        tap(await connectUnix({ path }), sink, { format: lengthPrefixed() }),
      );
      await using server = channel<number, number>(await listener.accept());
      for (let i = 0; i < 100; i++) {
        await client.send(i);
        await server.send(await server.receive() + 1);
        assertEquals(await client.receive(), i + 1);
      }
      assertEquals(errors.length, 1);
      assertMatch(String(errors[0]), /No space left on device/);
      assertEquals(sink.stats.written, 0);
      assert(sink.stats.failed >= 100);
    },
  });
}

function textSinkOf(path: string, options: { onError(error: unknown): void }) {
  return textSink({
    ...options,
    print: (line) => Deno.writeTextFileSync(path, line),
  });
}

Deno.test("textSink shows a line for each record and lets no peer write its own", async () => {
  const printed: string[] = [];
  const sink = textSink({ print: (line) => printed.push(line) });
  const evil = "\u001b[2Jfake\n00:00:00.000000 #9 -> 1 B\u202e";
  await pass([utf8(`${JSON.stringify(evil)}\n`), utf8("{x\n")], {
    format: lines(),
    codec: json,
    name: `pipe${evil}`,
  }, sink);
  await sink.close();
  for (const line of printed) {
    // deno-lint-ignore no-control-regex
    assertMatch(line, /^\d\d:\d\d:\d\d\.\d{6} #\d+ [^\u0000-\u001f\u202e]+$/);
  }
  assertMatch(printed[1], /-> 45 B {2}"/);
  assert(printed.some((line) => / -> 2 B {2}\(FrameError: .*7b 78/.test(line)));
  assert(printed.some((line) => line.endsWith("-> end after 49 B")));
});

Deno.test("textSink cuts a long preview", async () => {
  const printed: string[] = [];
  const sink = textSink({
    print: (line) => printed.push(line),
    maxPreviewLength: 20,
  });
  const message = JSON.stringify({ key: "x".repeat(5000) });
  await pass([utf8(`${message}\n`)], { format: lines(), codec: json }, sink);
  await sink.close();
  assert(printed[1].endsWith("…") && printed[1].length < 80, printed[1]);
});

Deno.test("jsonLinesSink writes lines that parse, whatever the message holds", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.jsonl`;
  const format = lengthPrefixed();
  const messages: unknown[] = [
    { bytes: new Uint8Array([1, 2]), at: new Date(0), big: 2n ** 60n },
    new Map([[1, "one"]]),
    "x".repeat(9000),
    null,
  ];
  const sink = jsonLinesSink(path);
  await pass(
    messages.map((message) => encodeFrame(format, msgpack.encode(message))),
    { format, codec: msgpack },
    sink,
  );
  await sink.close();
  const parsed = (await Deno.readTextFile(path)).trimEnd().split("\n")
    .map((line) => JSON.parse(line));
  assertEquals(parsed[0].kind, "open");
  const sent = parsed.filter((line) =>
    line.kind === "frame" && line.direction === "sent"
  );
  assertEquals(sent[0].message.bytes, { $bytes: "AQI=" });
  assertEquals(sent[0].message.at, "1970-01-01T00:00:00.000Z");
  assertEquals(sent[2].cut.length, 4097);
  assertEquals(sent[3].message, null);
  assertMatch(sent[0].time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  if (unix) assertEquals((await Deno.stat(path)).mode! & 0o777, 0o600);
});

Deno.test("jsonLinesSink appends to a file and leaves a stream open if told", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.jsonl`;
  for (let run = 0; run < 2; run++) {
    await using sink = jsonLinesSink(path, { append: true });
    await pass([utf8("a")], {}, sink);
  }
  const count = (await Deno.readTextFile(path)).trimEnd().split("\n").length;
  assertEquals(count, 10);

  const chunks: Uint8Array[] = [];
  const stream = new WritableStream<Uint8Array>({
    write: (chunk) => void chunks.push(chunk),
  });
  const sink = jsonLinesSink(stream, { preventClose: true });
  await pass([utf8("a")], {}, sink);
  await sink.close();
  await stream.getWriter().close();
  assert(chunks.length > 0);
});

Deno.test("sinks throw for a path that can't be opened", () => {
  for (const make of [jsonLinesSink, pcapngSink]) {
    assertThrows(() => make("/no/such/directory/a"), Deno.errors.NotFound);
  }
});

Deno.test("tap refuses wrong options and leaves the duplex usable", async () => {
  const [here] = duplexPair();
  const { sink } = recorder();
  const codec = json as Codec<unknown>;
  assertThrows(() => tap(here, sink, { codec }), TypeError, "no format");
  assertThrows(() => tap(here, sink, { captureLength: -1 }), RangeError);
  assertThrows(() => tap(here, sink, { partialFrameNotice: -1 }), RangeError);
  assertThrows(
    () => tap(here, sink, { format: lines(), maxFrameLength: -1 }),
    RangeError,
  );
  assertThrows(
    () => new TapSink({ write() {} }, { maxQueuedRecords: 0 }),
    RangeError,
  );
  const writer = here.writable.getWriter();
  assertThrows(() => tap(here, sink), TypeError, "locked");
  writer.releaseLock();
  here.readable.getReader().releaseLock();
  await here.writable.abort();
});

Deno.test("tap leaves the writer's own bytes as they are", async () => {
  const chunk = utf8("mine");
  const { sink } = recorder();
  await pass([chunk], {}, sink);
  assertEquals(chunk, utf8("mine"));
  await sink.close();
});
