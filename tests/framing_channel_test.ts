import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { assertType, type IsExact } from "@std/testing/types";
import { ConnectionClosedError, type Duplex } from "../duplex.ts";
import {
  bytes,
  type Channel,
  channel,
  type ChannelOptions,
  contentLength,
  delimited,
  encodeFrame,
  FrameError,
  json,
  lengthPrefixed,
  lines,
  messagePack,
  stdMsgpack,
  text,
  varint,
} from "../framing/mod.ts";
import { duplexPair, FORMATS, utf8 } from "./_framing.ts";

function pair<A = unknown, B = A>(
  options: ChannelOptions<A, B> & ChannelOptions<B, A> = {},
) {
  const [left, right] = duplexPair();
  return [channel<A, B>(left, options), channel<B, A>(right, options)] as const;
}

/** A duplex that reads the given bytes, and what was written to it. */
function wire(input: readonly Uint8Array[], end = true) {
  const written: Uint8Array[] = [];
  let aborted: unknown;
  const readable = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = input[0];
      if (piece !== undefined) {
        input = input.slice(1);
        controller.enqueue(piece);
      } else if (end) controller.close();
      else return new Promise(() => {});
    },
  });
  const writable = new WritableStream<Uint8Array>({
    write: (chunk) => void written.push(chunk),
    abort: (reason) => void (aborted = reason),
  });
  const duplex: Duplex = { readable, writable };
  return { duplex, written, aborted: () => aborted };
}

/** A duplex whose writes end when they are told to. */
function slowWire() {
  const writes: { chunk: Uint8Array; end: () => void }[] = [];
  let arrived: (() => void) | undefined;
  const duplex: Duplex = {
    readable: new ReadableStream(),
    writable: new WritableStream({
      write: (chunk) =>
        new Promise<void>((end) => {
          writes.push({ chunk, end });
          arrived?.();
        }),
    }),
  };
  const next = async () => {
    while (writes.length === 0) {
      await new Promise<void>((resolve) => arrived = resolve);
    }
    return writes.shift()!;
  };
  return { duplex, next, writes };
}

for (
  const [name, options] of Object.entries<ChannelOptions<unknown, unknown>>({
    "the defaults": {},
    "lines of json": { format: lines(), codec: json },
    "contentLength and json": { format: contentLength(), codec: json },
    "varint and stdMsgpack": { format: varint(), codec: stdMsgpack },
    "bare messagePack": { format: messagePack() },
  })
) {
  Deno.test(`channel carries messages both ways with ${name}`, async () => {
    const [left, right] = pair(options);
    const messages = Array.from(
      { length: 500 },
      (_, id) => ({ id, text: "x".repeat(id % 90), list: [null, true, 1.5] }),
    );
    for (const message of messages) {
      left.send(message);
      right.send(message);
    }
    for (const message of messages) {
      assertEquals(await left.receive(), message);
      assertEquals(await right.receive(), message);
    }
    await Promise.all([left.close(), right.close()]);
  });
}

Deno.test("channel writes the messages of one turn at once", async () => {
  const { duplex, written } = wire([]);
  const out = channel<string>(duplex, { codec: text });
  for (const word of ["a", "b", "c"]) out.send(word);
  assertEquals(written.length, 0);
  await out.close();
  assertEquals(written.length, 1);
  assertEquals(written[0].length, 3 * 5);
});

Deno.test("channel encodes a message when it is sent", async () => {
  const [left, right] = pair<{ id: number }>();
  const message = { id: 1 };
  left.send(message);
  message.id = 2;
  left.send(message);
  assertEquals(await right.receive(), { id: 1 });
  assertEquals(await right.receive(), { id: 2 });
  await Promise.all([left.close(), right.close()]);
});

Deno.test("channel sends a large bytes payload without a copy, when it is taken", async () => {
  const { duplex, next } = slowWire();
  const out = channel<Uint8Array>(duplex, { codec: bytes });
  const payload = new Uint8Array(100_000);
  let taken = false;
  const sent = out.send(payload).then(() => taken = true);
  const header = await next();
  assertEquals(header.chunk.length, 4);
  header.end();
  const body = await next();
  assertStrictEquals(body.chunk, payload);
  assert(!taken);
  body.end();
  await sent;
  await out.close();
});

Deno.test("channel copies a large bytes payload for trySend", async () => {
  const { duplex, written } = wire([], false);
  const out = channel<Uint8Array>(duplex, { codec: bytes });
  const payload = new Uint8Array(100_000).fill(1);
  assert(out.trySend(payload));
  payload.fill(2);
  await out.close();
  assertEquals(written.at(-1)!.at(-1), 1);
});

Deno.test("send waits above the high-water mark and trySend refuses", async () => {
  const { duplex, next, writes } = slowWire();
  const out = channel<Uint8Array>(duplex, { codec: bytes, highWaterMark: 100 });
  await out.send(new Uint8Array(96)); // 100 with its header: full
  const first = await next();
  assertEquals(out.queuedBytes, 100);
  assertEquals(out.trySend(new Uint8Array(1)), false);
  let accepted = false;
  const waiting = out.send(new Uint8Array(1)).then(() => accepted = true);
  await Promise.resolve();
  assert(!accepted);
  assertEquals(writes.length, 0);
  first.end();
  await waiting;
  assert(out.trySend(new Uint8Array(1)));
  (await next()).end();
  (await next()).end();
  await out.close();
});

Deno.test("send in a full queue ends by timeout or signal, unsent", async () => {
  const { duplex, next } = slowWire();
  const out = channel<string>(duplex, { codec: text, highWaterMark: 1 });
  await out.send("first");
  const first = await next();
  const timeout = await assertRejects(
    () => out.send("late", { timeout: 1 }),
    DOMException,
    "Cannot send: timed out after 1 ms",
  );
  assertEquals(timeout.name, "TimeoutError");
  const reason = new Error("enough");
  const controller = new AbortController();
  const aborted = out.send("aborted", { signal: controller.signal });
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => aborted), reason);
  await assertRejects(() => out.send("x", { signal: controller.signal }));
  const last = out.send("last");
  first.end();
  await last;
  const second = await next();
  assertEquals(new TextDecoder().decode(second.chunk.subarray(4)), "last");
  second.end();
  await out.close();
});

Deno.test("receive ends by timeout or signal and loses no message", async () => {
  const [left, right] = pair<string>({ timeout: 5 });
  await assertRejects(
    () => right.receive(),
    DOMException,
    "Cannot receive: timed out",
  );
  const controller = new AbortController();
  const aborted = right.receive({
    signal: controller.signal,
    timeout: Infinity,
  });
  controller.abort(new Error("enough"));
  await assertRejects(() => aborted, Error, "enough");
  const waiting = right.receive({ timeout: 60_000 });
  left.send("one");
  left.send("two");
  assertEquals(await waiting, "one");
  await assertRejects(() => right.receive({ signal: controller.signal }));
  assertEquals(await right.receive(), "two");
  await Promise.all([left.close(), right.close()]);
});

Deno.test("tryReceive drains what one chunk brought", async () => {
  const { duplex } = wire([
    new Uint8Array([
      ...encodeFrame(lengthPrefixed(), utf8("a")),
      ...encodeFrame(lengthPrefixed(), utf8("b")),
    ]),
  ]);
  const input = channel<string>(duplex, { codec: text });
  assertEquals(input.tryReceive(), undefined);
  assertEquals(await input.receive(), "a");
  assertEquals(input.tryReceive(), "b");
  assertEquals(input.tryReceive(), undefined);
  await input.close();
});

Deno.test("channel iterates until the peer ends", async () => {
  const [left, right] = pair<number>();
  for (let i = 0; i < 3; i++) left.send(i);
  left.close();
  assertEquals(await Array.fromAsync(right), [0, 1, 2]);
  const error = await assertRejects(
    () => right.receive(),
    ConnectionClosedError,
  );
  assertEquals(error.code, "ended");
  await right.close();
  await right.closed;
});

Deno.test("channel readable and writable are streams of messages", async () => {
  const [left, right] = pair<number>();
  const sent = ReadableStream.from([1, 2, 3]).pipeTo(left.writable);
  assertEquals(await Array.fromAsync(right.readable), [1, 2, 3]);
  await sent;
  // The other way goes on.
  right.send(4);
  assertEquals(await left.receive(), 4);
  await right.close();
  await left.closed;
});

Deno.test("close sends what was accepted, and is idempotent", async () => {
  const [left, right] = pair<number>({ highWaterMark: 10 });
  for (let i = 0; i < 100; i++) left.send(i);
  const closing = left.close();
  assertStrictEquals(left.close(), closing);
  assertEquals((await Array.fromAsync(right)).length, 100);
  await closing;
  await left.closed;
  const error = await assertRejects(() => left.send(1), ConnectionClosedError);
  assertEquals(error.code, "closed");
  assertThrows(() => left.trySend(1), ConnectionClosedError);
  await assertRejects(() => left.receive(), ConnectionClosedError);
  await right.close();
});

Deno.test("closing writable ends where the channel is closed meanwhile", async () => {
  for (const writableFirst of [true, false]) {
    const { duplex, next } = slowWire();
    const end = channel<string>(duplex, { codec: text });
    const writer = end.writable.getWriter();
    end.send("sent");
    const write = await next();
    const closed = [() => writer.close(), () => end.close()];
    if (!writableFirst) closed.reverse();
    const both = closed.map((close) => close());
    await Promise.resolve();
    write.end();
    await Promise.all(both);
  }
});

Deno.test("close gives up on a duplex that takes nothing", async () => {
  const { duplex } = slowWire();
  const out = channel<string>(duplex, { closeTimeout: 10 });
  out.send("never taken");
  await out.close();
  await assertRejects(() => out.closed, DOMException, "Cannot close channel");
});

Deno.test("close rejects a receive that waits", async () => {
  const [left, right] = pair();
  const waiting = assertRejects(() => left.receive(), ConnectionClosedError);
  await left.close();
  assertEquals((await waiting).code, "closed");
  await right.close();
});

Deno.test("abort rejects everything that waits with its reason", async () => {
  const { duplex, next } = slowWire();
  const both = channel<string>(duplex, { highWaterMark: 1 });
  await both.send("first");
  await next();
  const reason = new Error("enough");
  const waits = [both.send("second"), both.receive(), both.closed].map((wait) =>
    assertRejects(() => wait, Error, "enough")
  );
  both.abort(reason);
  for (const error of await Promise.all(waits)) {
    assertStrictEquals(error, reason);
  }
});

Deno.test("a broken stream rejects what waits with code lost and its cause", async () => {
  const cause = new Error("the cable");
  let source!: ReadableStreamDefaultController<Uint8Array>;
  const duplex: Duplex = {
    readable: new ReadableStream({ start: (c) => void (source = c) }),
    writable: new WritableStream(),
  };
  const both = channel(duplex);
  const waiting = assertRejects(() => both.receive(), ConnectionClosedError);
  source.error(cause);
  const error = await waiting;
  assertEquals([error.code, error.cause], ["lost", cause]);
  await assertRejects(() => both.closed, ConnectionClosedError);
  await assertRejects(() => both.send(1), ConnectionClosedError);
});

Deno.test("messages before malformed bytes arrive, then the error, and the duplex is aborted", async () => {
  const good = encodeFrame(lengthPrefixed(), utf8("good"));
  const { duplex, aborted } = wire([
    new Uint8Array([...good, 255, 255, 255, 255]),
  ], false);
  const input = channel<string>(duplex, { codec: text });
  assertEquals(await input.receive(), "good");
  const error = await assertRejects(() => input.receive(), FrameError);
  assertEquals(error.code, "too-long");
  assertStrictEquals(await assertRejects(() => input.closed), error);
  assertStrictEquals(aborted(), error);
});

Deno.test("a stream that ends inside a frame is an error", async () => {
  const frame = encodeFrame(lengthPrefixed(), utf8("cut off"));
  const { duplex } = wire([frame.subarray(0, 6)]);
  const input = channel<string>(duplex, { codec: text });
  await assertRejects(() => input.receive(), FrameError, "after 2 of 7 bytes");
});

Deno.test("a frame that stays partial ends the channel", async () => {
  const frame = encodeFrame(lengthPrefixed(), utf8("cut off"));
  const { duplex } = wire([frame.subarray(0, 6)], false);
  const input = channel<string>(duplex, { partialFrameTimeout: 5 });
  const error = await assertRejects(
    () => input.receive(),
    FrameError,
    "6 bytes of a frame with a payload of 7 came within partialFrameTimeout 5 ms",
  );
  assertEquals(error.code, "timeout");
});

Deno.test("a slow consumer is no reason for partialFrameTimeout", async () => {
  const frame = encodeFrame(lengthPrefixed(), utf8("whole"));
  const { duplex } = wire([
    new Uint8Array([...frame, ...frame.subarray(0, 6)]),
    frame.subarray(6),
  ], false);
  const input = channel<string>(duplex, {
    codec: text,
    partialFrameTimeout: 5,
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals(await input.receive(), "whole");
  assertEquals(await input.receive(), "whole");
  await input.close();
});

Deno.test("a message that its codec refuses is an error in its place", async () => {
  const frames = ["[1]", "{", "[2]"].map((line) => utf8(`${line}\n`));
  const { duplex } = wire(frames);
  const input = channel(duplex, { format: lines(), codec: json });
  assertEquals(await input.receive(), [1]);
  const error = await assertRejects(() => input.receive(), FrameError);
  assertEquals(error.code, "invalid");
  assertEquals(await input.receive(), [2]);
  await input.close();
});

Deno.test("onInvalid takes the errors of messages, which are skipped", async () => {
  const frames = ["[1]", "{", "[2]"].map((line) => utf8(`${line}\n`));
  const errors: string[] = [];
  const input = channel(wire(frames).duplex, {
    format: lines(),
    codec: json,
    onInvalid: (error) => errors.push(error.code),
  });
  assertEquals(await Array.fromAsync(input), [[1], [2]]);
  assertEquals(errors, ["invalid"]);
  await input.close();
});

const isNumber = (message: unknown) => typeof message === "number";
const positive = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value: unknown) =>
      typeof value === "number" && value > 0 ? { value: value * 10 } : {
        issues: [{ message: "must be positive", path: ["a", { key: 0 }] }],
      },
  },
} as const;
const positiveLater = {
  "~standard": {
    ...positive["~standard"],
    // Later ones settle first: the order has to be kept all the same.
    validate: async (value: unknown) => {
      for (let i = 0; i < 20 - Number(value); i++) await null;
      return positive["~standard"].validate(value);
    },
  },
} as const;

Deno.test("validate.in with a predicate refuses a message and goes on", async () => {
  const [left, right] = pair<unknown>({ validate: { in: isNumber } });
  for (const message of [1, "two", 3]) left.send(message);
  assertEquals(await right.receive(), 1);
  const error = await assertRejects(
    () => right.receive(),
    FrameError,
    "fails the predicate",
  );
  assertEquals(error.code, "invalid");
  assertEquals(await right.receive(), 3);
  await Promise.all([left.close(), right.close()]);
});

for (
  const [name, validator] of [
    ["a schema", positive],
    ["an async schema", positiveLater],
  ] as const
) {
  Deno.test(`validate.in with ${name} names the issue and keeps the order`, async () => {
    const [left, right] = pair<number>({ validate: { in: validator } });
    for (const message of [1, -1, 3, 4]) left.send(message);
    left.close();
    assertEquals(await right.receive(), 10);
    await assertRejects(
      () => right.receive(),
      FrameError,
      "Invalid message: the message received has an issue: at a.0, must be positive",
    );
    assertEquals(await Array.fromAsync(right), [30, 40]);
    await right.close();
  });

  Deno.test(`validate.out with ${name} refuses to send and keeps the order`, async () => {
    const [left, right] = pair<number>({ validate: { out: validator } });
    const sent = [1, -1, 3, 4].map((message) => left.send(message));
    await assertRejects(
      () => sent[1],
      FrameError,
      "the message sent has an issue",
    );
    await Promise.all([sent[0], sent[2], sent[3]]);
    left.close();
    assertEquals(await Array.fromAsync(right), [10, 30, 40]);
    await right.close();
  });
}

Deno.test("trySend refuses an async validator", async () => {
  const [left, right] = pair<number>({ validate: { out: positiveLater } });
  assertThrows(() => left.trySend(1), TypeError, "the validator is async");
  await Promise.all([left.close(), right.close()]);
});

Deno.test("an async predicate is awaited", async () => {
  const [left, right] = pair<unknown>({
    validate: { in: (message) => Promise.resolve(message !== 1) },
  });
  left.send(1);
  left.send(2);
  await assertRejects(() => right.receive(), FrameError, "predicate");
  assertEquals(await right.receive(), 2);
  await Promise.all([left.close(), right.close()]);
});

Deno.test("send refuses what is too long or has no form, and the channel goes on", async () => {
  const [left, right] = pair<unknown>({
    maxFrameLength: 10,
    minFrameLength: 2,
  });
  await assertRejects(
    () => left.send("x".repeat(20)),
    FrameError,
    "length 21 exceeds maxFrameLength 10",
  );
  await assertRejects(
    () => left.send(1),
    FrameError,
    "length 1 is below minFrameLength 2",
  );
  await assertRejects(
    () => left.send(() => {}),
    FrameError,
    "Cannot encode message",
  );
  left.send("fine");
  assertEquals(await right.receive(), "fine");
  await Promise.all([left.close(), right.close()]);
});

Deno.test("channel refuses options out of their bounds", () => {
  const refuses = (options: ChannelOptions<unknown, unknown>) => {
    const [left] = duplexPair();
    assertThrows(() => channel(left, options), Error, "Invalid");
    assert(!left.readable.locked && !left.writable.locked);
  };
  refuses({ highWaterMark: 0 });
  refuses({ timeout: -1 });
  refuses({ partialFrameTimeout: NaN });
  refuses({ maxFrameLength: 1.5 });
  refuses({ validate: { in: {} as unknown as typeof positive } });
});

Deno.test("channel leaves the readable free when the writable is locked", () => {
  const [left] = duplexPair();
  left.writable.getWriter();
  assertThrows(() => channel(left), TypeError);
  assert(!left.readable.locked);
});

Deno.test("channel holds one chunk's messages for a slow consumer, not more", async () => {
  let pulls = 0;
  const readable = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      pulls++;
      controller.enqueue(encodeFrame(FORMATS.lengthPrefixed.format, utf8("x")));
    },
  }, { highWaterMark: 0 });
  const input = channel(
    { readable, writable: new WritableStream() },
    { codec: text },
  );
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(pulls, 1);
  await input.receive();
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(pulls, 2);
  await input.close();
});

Deno.test("an invalid message that is found early does not overtake others", async () => {
  const later = Promise.withResolvers<boolean>();
  const [left, right] = pair<string>({
    validate: {
      in: (message) =>
        message === "slow" ? later.promise : Promise.resolve(false),
    },
  });
  left.send("slow");
  left.send("refused");
  const first = right.receive();
  const second = assertRejects(() => right.receive(), FrameError);
  setTimeout(() => later.resolve(true), 1);
  assertEquals(await first, "slow");
  await second;
  await Promise.all([left.close(), right.close()]);
});

Deno.test("onInvalid that throws ends the channel with its error as the cause", async () => {
  const cause = new Error("thrown by onInvalid");
  const input = channel(wire([utf8("{\n")], false).duplex, {
    format: lines(),
    codec: json,
    onInvalid: () => {
      throw cause;
    },
  });
  const error = await assertRejects(
    () => input.receive(),
    ConnectionClosedError,
  );
  assertStrictEquals(error.cause, cause);
});

Deno.test("channel sends a large bytes payload of a format with a trailer", async () => {
  const [left, right] = pair<Uint8Array>({
    format: delimited(new Uint8Array([1, 2])),
    codec: bytes,
  });
  const sent = left.send(new Uint8Array(100_000));
  assertEquals((await right.receive()).length, 100_000);
  await sent;
  await Promise.all([left.close(), right.close()]);
});

Deno.test("channel types its messages by the codec or by its parameters", () => {
  const text_ = () => channel(duplexPair()[0], { codec: text });
  assertType<IsExact<ReturnType<typeof text_>, Channel<string, string>>>(true);
  const plain = () => channel(duplexPair()[0]);
  assertType<IsExact<ReturnType<typeof plain>, Channel<unknown, unknown>>>(
    true,
  );
  const both = () => channel<number, string>(duplexPair()[0], { codec: json });
  assertType<IsExact<ReturnType<typeof both>, Channel<number, string>>>(true);
});

Deno.test("a small bytes payload may change while it waits for room", async () => {
  const { duplex, next } = slowWire();
  const out = channel<Uint8Array>(duplex, { codec: bytes, highWaterMark: 1 });
  out.send(new Uint8Array([1]));
  const first = await next();
  const payload = new Uint8Array([2]);
  const waiting = out.send(payload);
  payload[0] = 3;
  first.end();
  await waiting;
  const second = await next();
  assertEquals(second.chunk.at(-1), 2);
  second.end();
  await out.close();
});

Deno.test("close gives up on a validator that never ends", async () => {
  const { duplex } = wire([], false);
  const out = channel<number>(duplex, {
    closeTimeout: 5,
    validate: { out: () => new Promise(() => {}) },
  });
  out.send(1);
  await out.close();
  await assertRejects(() => out.closed, DOMException, "Cannot close channel");
});

Deno.test("a stream that gives no bytes is an error", async () => {
  const readable = ReadableStream.from(["text"]) as unknown as ReadableStream<
    Uint8Array
  >;
  const input = channel({ readable, writable: new WritableStream() });
  const error = await assertRejects(
    () => input.receive(),
    ConnectionClosedError,
  );
  assertEquals(
    String(error.cause),
    'TypeError: Cannot decode frame: expected a Uint8Array, received "text"',
  );
});

Deno.test("channel.readable fails at an invalid message and aborts the channel", async () => {
  const { duplex, aborted } = wire([utf8("[1]\n{\n[2]\n")], false);
  const input = channel(duplex, { format: lines(), codec: json });
  const reader = input.readable.getReader();
  assertEquals((await reader.read()).value, [1]);
  const error = await assertRejects(() => reader.read(), FrameError);
  assertEquals(error.code, "invalid");
  assertStrictEquals(await assertRejects(() => input.closed), error);
  assertStrictEquals(aborted(), error);
});

Deno.test("channel.readable goes on where onInvalid takes the error", async () => {
  const { duplex } = wire([utf8("[1]\n{\n[2]\n")]);
  const input = channel(duplex, {
    format: lines(),
    codec: json,
    onInvalid: () => {},
  });
  assertEquals(await Array.fromAsync(input.readable), [[1], [2]]);
  await input.close();
});

Deno.test("cancelling channel.readable ends receiving, and sending goes on", async () => {
  const [left, right] = duplexPair();
  const one = channel<number>(left);
  const other = channel<number>(right);
  await one.readable.cancel();
  await assertRejects(() => one.receive(), ConnectionClosedError);
  one.send(7);
  assertEquals(await other.receive(), 7);
  await Promise.all([one.close(), other.close()]);
});

Deno.test("aborting channel.writable aborts the channel with the reason", async () => {
  const [left] = pair();
  const reason = new Error("enough");
  await left.writable.abort(reason);
  assertStrictEquals(await assertRejects(() => left.closed), reason);
  assertStrictEquals(await assertRejects(() => left.receive()), reason);
});

Deno.test("channel.readable pulls one chunk at a time", async () => {
  let pulls = 0;
  const readable = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      pulls++;
      controller.enqueue(encodeFrame(lengthPrefixed(), utf8("x")));
    },
  }, { highWaterMark: 0 });
  const input = channel(
    { readable, writable: new WritableStream() },
    { codec: text },
  );
  const reader = input.readable.getReader();
  for (let i = 0; i < 5; i++) await reader.read();
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert(pulls <= 7, `${pulls} chunks for 5 messages`);
  await input.close();
});

Deno.test("channel.writable makes its writer wait for the transport", async () => {
  const { duplex, next } = slowWire();
  const out = channel<Uint8Array>(duplex, { codec: bytes, highWaterMark: 1 });
  const writer = out.writable.getWriter();
  const payload = new Uint8Array(1);
  await writer.write(payload);
  const first = await next();
  let taken = false;
  const second = writer.write(payload).then(() => taken = true);
  await new Promise((resolve) => setTimeout(resolve, 1));
  assert(!taken);
  first.end();
  await second;
  (await next()).end();
  await writer.close();
  await out.close();
});

Deno.test("iterating goes on after an invalid message", async () => {
  const { duplex } = wire([utf8("[1]\n{\n[2]\n")]);
  const input = channel(duplex, { format: lines(), codec: json });
  const iterator = input[Symbol.asyncIterator]();
  assertEquals(await iterator.next(), { done: false, value: [1] });
  await assertRejects(() => iterator.next(), FrameError);
  assertEquals(await iterator.next(), { done: false, value: [2] });
  assertEquals((await iterator.next()).done, true);
  await input.close();
});

Deno.test("leaving a loop early leaves the channel open", async () => {
  const [left, right] = pair<number>();
  for (const id of [1, 2, 3]) left.send(id);
  for await (const id of right) if (id === 2) break;
  assertEquals(await right.receive(), 3);
  await Promise.all([left.close(), right.close()]);
});

Deno.test("tryReceive throws in the place of an invalid message", async () => {
  const { duplex } = wire([utf8("[1]\n{\n[2]\n")]);
  const input = channel(duplex, { format: lines(), codec: json });
  assertEquals(await input.receive(), [1]);
  assertThrows(() => input.tryReceive(), FrameError);
  assertEquals(input.tryReceive(), [2]);
  await input.close();
});

Deno.test("a codec of one's own that throws is an invalid message", async () => {
  const broken = {
    name: "broken",
    encode: (): Uint8Array => {
      throw new TypeError("no form.");
    },
    decode: (): unknown => {
      throw new TypeError("no message.");
    },
  };
  const { duplex } = wire([encodeFrame(lengthPrefixed(), utf8("x"))], false);
  const both = channel(duplex, { codec: broken });
  for (
    const [act, message] of [
      [() => both.send(1), "Cannot encode message: no form"],
      [() => both.receive(), "Cannot decode message: no message"],
    ] as const
  ) {
    const error = await assertRejects(act, FrameError);
    assertEquals([error.code, error.message], ["invalid", message]);
    assert(error.cause instanceof TypeError);
  }
  await both.close();
});
