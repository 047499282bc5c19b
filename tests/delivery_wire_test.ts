// The parts of delivery that do no I/O, against models of them.

import { assertEquals, assertThrows } from "@std/assert";
import { crc32 } from "../delivery/_crc32.ts";
import { ProtocolError } from "../delivery/delivery_error.ts";
import { FrameHeader, verify } from "../delivery/_frame_header.ts";
import { Incoming } from "../delivery/_incoming.ts";
import { SendLog } from "../delivery/_send_log.ts";
import {
  controlFrame,
  decodeEnd,
  decodeGreeting,
  decodeStatus,
  encodeEnd,
  encodeGreeting,
  encodeStatus,
  Kind,
} from "../delivery/_wire.ts";
import type { Window } from "../delivery/window.ts";
import { connect, listen } from "../address.ts";
import { reliableListener } from "../delivery/mod.ts";
import { bytes, channel, FrameError } from "../framing/mod.ts";
import { HeaderDecoder } from "../framing/_header_decoder.ts";
import { forAll } from "./_random.ts";

const text = (value: string) => new TextEncoder().encode(value);

Deno.test("crc32 is zlib's", () => {
  const check = text("123456789"); // the check value of every CRC catalogue
  assertEquals(crc32(check, 0, 9), 0xcbf43926);
  assertEquals(crc32(check, 4, 9, crc32(check, 0, 4)), 0xcbf43926);
  assertEquals(crc32(check, 0, 0), 0);
});

Deno.test("SendLog gives out what was appended, from wherever a peer is", () => {
  forAll(60, (random) => {
    const checksums = random.below(2) === 0;
    const log = new SendLog(checksums);
    const messages: Uint8Array[] = [];
    let acknowledged = 0, received = 0;
    const header = new FrameHeader();
    header.maxData = 1 << 20;
    let decoder = new HeaderDecoder(header);
    const window = random.pick([1, 3, 100, Infinity]);
    const bytes = random.pick([1, 1000, 100_000, Infinity]);

    const read = () => {
      for (let chunk; (chunk = log.readChunk(window, bytes)) !== undefined;) {
        decoder.push(chunk, (frame) => {
          const payload = checksums
            ? frame.subarray(0, verify(header, frame, 0, frame.length))
            : frame;
          assertEquals(header.sequence, received);
          assertEquals(payload, messages[received++]);
        });
        if (random.below(3) === 0) return;
      }
    };

    for (let step = 0; step < 120; step++) {
      const action = random.below(5);
      if (action < 2) {
        const size = random.pick([0, 1, 60, 700, 5000, 70_000]);
        const message = random.bytes(Math.min(size, 100));
        const padded = new Uint8Array(size);
        padded.set(message);
        messages.push(padded);
        log.append(padded);
      } else if (action === 2) read();
      else if (action === 3) {
        acknowledged += random.below(received - acknowledged + 1);
        log.acknowledge(acknowledged);
        if (random.below(4) === 0) log.trim();
      } else {
        // A new connection, whose peer has some more than it acknowledged.
        received = acknowledged + random.below(received - acknowledged + 1);
        log.seek(received);
        decoder = new HeaderDecoder(header);
      }
      assertEquals(log.acknowledged, acknowledged);
      assertEquals(log.read, received);
      assertEquals(log.next, messages.length);
      const held = messages.slice(acknowledged)
        .reduce((sum, { length }) => sum + length, 0);
      assertEquals(log.bytes, held);
    }
    while (received < messages.length) {
      read();
      log.acknowledge(received);
    }
    log.acknowledge(received);
    assertEquals(log.bytes, 0);
  });
});

Deno.test("SendLog goes on past 2^32 messages", () => {
  const log = new SendLog(false);
  log.restart(2 ** 32 - 1);
  log.append(text("a"));
  log.append(text("b"));
  const header = new FrameHeader();
  header.maxData = 10;
  const seen: number[] = [];
  new HeaderDecoder(header).push(
    log.readChunk(10, 10)!,
    () => seen.push(header.sequence),
  );
  assertEquals(seen, [-1, 0]);
  assertEquals(log.read, 2 ** 32 + 1);
});

Deno.test("what is encoded for the wire decodes to the same", () => {
  forAll(100, (random) => {
    const count = () => random.below(2 ** 30) * 2 ** random.below(23);
    const greeting = {
      flags: random.below(16),
      id: random.bytes(16) as Uint8Array,
      maxMessages: 1 + random.below(2 ** 31),
      maxBytes: 1 + random.below(2 ** 31),
      first: count(),
      received: count(),
      acknowledged: count(),
    };
    const body = (frame: Uint8Array) => frame.slice(9, -4);
    assertEquals(
      decodeGreeting(body(encodeGreeting(Kind.Hello, greeting))),
      greeting,
    );
    const status = { sent: count(), acknowledged: count() };
    assertEquals(decodeStatus(body(encodeStatus(Kind.Ping, status))), status);
    const end = { ending: random.below(3), sent: count() };
    assertEquals(decodeEnd(body(encodeEnd(end.ending, end.sent))), end);
  });
});

Deno.test("one wrong bit of a frame is noticed", () => {
  forAll(100, (random) => {
    const frame = controlFrame(Kind.Status, random.bytes(16));
    const at = 4 + random.below(frame.length - 4);
    frame[at] ^= 1 << random.below(8);
    const header = new FrameHeader();
    header.maxData = 100;
    assertThrows(
      () =>
        new HeaderDecoder(header).push(frame, (body) => {
          verify(header, body, 0, body.length);
        }),
      ProtocolError,
    );
  });
});

function createIncoming(window: Required<Window>): Incoming<Uint8Array> {
  return new Incoming<Uint8Array>({
    codec: bytes,
    rangeCodec: undefined,
    check: undefined,
    onInvalid: undefined,
    window,
    whenHandled: false,
    onSettled: () => {},
  });
}

/** What comes out where so many messages were here before, and some are taken. */
function receiveAll(
  pieces: { chunk: Uint8Array; taking: number }[],
  known: number,
  window: Required<Window>,
  joinsData: boolean,
) {
  const incoming = createIncoming(window);
  incoming.restart(known);
  const header = new FrameHeader();
  header.maxData = 1 << 20;
  header.joinsData = joinsData;
  const decoder = new HeaderDecoder(header);
  const taken: unknown[] = [];
  let error: unknown;
  try {
    for (const { chunk, taking } of pieces) {
      decoder.push(
        chunk,
        (frame) => incoming.push(frame, 0, frame.length, header),
      );
      for (let i = 0; i < taking; i++) taken.push(incoming.take());
      incoming.acknowledge();
    }
  } catch (thrown) {
    error = thrown;
  }
  while (!incoming.isEmpty) taken.push(incoming.take());
  return { taken, error, expected: incoming.expected, incoming };
}

Deno.test("Incoming takes a run of messages as it takes each by itself", () => {
  forAll(100, (random) => {
    const log = new SendLog(false);
    const count = random.below(60);
    for (let i = 0; i < count; i++) {
      log.append(random.bytes(random.pick([0, 1, 10, 300])));
    }
    const pieces: { chunk: Uint8Array; taking: number }[] = [];
    for (let chunk; (chunk = log.readChunk(Infinity, Infinity));) {
      for (let at = 0; at < chunk.length;) {
        const end = at + 1 + random.below(random.pick([8, 500, 20_000]));
        pieces.push({ chunk: chunk.slice(at, end), taking: random.below(30) });
        at = end;
      }
    }
    const known = random.pick([0, random.below(count + 1)]);
    const window = {
      maxMessages: random.pick([1, 20, 1000]),
      maxBytes: random.pick([1, 1000, 1 << 20]),
    };
    const [each, joined] = [false, true].map((joinsData) =>
      receiveAll(pieces, known, window, joinsData)
    );
    assertEquals(joined.taken, each.taken);
    assertEquals(String(joined.error), String(each.error));
    assertEquals(joined.expected, each.expected);
    assertEquals(joined.incoming.duplicates, each.incoming.duplicates);
  });
});

Deno.test("a message whose buffer was transferred takes those after it along, as errors", () => {
  const log = new SendLog(false);
  for (const word of ["one", "two", "three"]) log.append(text(word));
  const chunk = log.readChunk(Infinity, Infinity)!.slice();
  const window = { maxMessages: 10, maxBytes: 1000 };
  const { incoming } = receiveAll([], 0, window, true);
  const header = new FrameHeader();
  header.maxData = 1000;
  header.joinsData = true;
  new HeaderDecoder(header).push(
    chunk,
    (frame) => incoming.push(frame, 0, frame.length, header),
  );
  const first = incoming.tryReceive()!;
  assertEquals(first, text("one"));
  (first.buffer as ArrayBuffer).transfer();
  for (let i = 0; i < 2; i++) {
    assertThrows(
      () => incoming.tryReceive(),
      FrameError,
      "Cannot decode message: the buffer of an earlier message was transferred",
    );
  }
  assertEquals(incoming.tryReceive(), undefined);
});

Deno.test("docs/delivery.md shows a session as a server takes it", async () => {
  const page = new URL("../docs/delivery.md", import.meta.url);
  const [, block] = /^```wire\n(.*?)^```/ms.exec(
    await Deno.readTextFile(page),
  )!;
  const steps = [...block.matchAll(/^([<>]) (\w+) ([0-9a-f]+)$/gm)];
  assertEquals(steps.length, 7);

  await using server = reliableListener<string>(
    await listen("tcp:127.0.0.1:0"),
  );
  const seen: string[] = [];
  const serving = server.accept().then(async (session) => {
    await session.handle((message) => void seen.push(message));
    await session.close();
  });
  await using client = channel<Uint8Array>(await connect(server.address), {
    codec: bytes,
    timeout: 10_000,
  });
  for (const [, direction, name, hex] of steps) {
    const frame = Uint8Array.fromHex(hex).subarray(4);
    if (direction === ">") await client.send(frame);
    else {
      const answer = await client.receive();
      if (name === "welcome") { // but for the session's name and the CRC-32
        frame.set(answer.subarray(11, 27), 11);
        frame.set(answer.subarray(-4), frame.length - 4);
      }
      assertEquals(answer.toHex(), frame.toHex(), name);
    }
  }
  await serving;
  assertEquals(seen, ["hi"]);
});
