// Peers that break the rules: each loses its connection, and nobody else does.

import { assert, assertEquals, assertRejects } from "@std/assert";
import { connect, listen } from "../address.ts";
import {
  creditChannel,
  DeliveryError,
  ProtocolError,
  reliableChannel,
  reliableListener,
  type ReliableListenerOptions,
} from "../delivery/mod.ts";
import { FrameHeader } from "../delivery/_frame_header.ts";
import {
  controlFrame,
  encodeGreeting,
  encodeStatus,
  Flag,
  type Greeting,
  Kind,
} from "../delivery/_wire.ts";
import { SendLog } from "../delivery/_send_log.ts";
import { bytes, type FrameError } from "../framing/mod.ts";
import { HeaderDecoder } from "../framing/_header_decoder.ts";
import { duplexPair, HASTE } from "./_delivery.ts";
import { forAll, type Random } from "./_random.ts";

/** A peer that speaks the wire by hand. */
function rawPeer() {
  const [ours, theirs] = duplexPair();
  const writer = ours.writable.getWriter();
  writer.closed.catch(() => {});
  const reader = ours.readable.getReader();
  const header = new FrameHeader();
  header.maxData = 2 ** 24;
  const decoder = new HeaderDecoder(header);
  const frames: { kind: number; payload: Uint8Array }[] = [];
  return {
    theirs,
    send: (...chunks: Uint8Array[]) => {
      for (const chunk of chunks) writer.write(chunk).catch(() => {});
    },
    /** The next frame, or `undefined` where the connection is gone. */
    async next() {
      while (frames.length === 0) {
        const { done, value } = await reader.read().catch(() => ({
          done: true,
          value: undefined,
        }));
        if (done) return undefined;
        decoder.push(
          value!,
          (payload) =>
            frames.push({ kind: header.kind, payload: payload.slice() }),
        );
      }
      return frames.shift();
    },
    async [Symbol.asyncDispose]() {
      await writer.abort().catch(() => {});
      await reader.cancel().catch(() => {});
    },
  };
}

const hello = (greeting: Partial<Greeting> = {}) =>
  encodeGreeting(Kind.Hello, {
    flags: 0,
    id: new Uint8Array(16),
    maxMessages: 100,
    maxBytes: 1000,
    first: 0,
    received: 0,
    acknowledged: 0,
    ...greeting,
  });

function data(count: number, size = 1, first = 0): Uint8Array {
  const log = new SendLog(false);
  log.restart(first);
  for (let n = 0; n < count; n++) log.append(new Uint8Array(size));
  const chunks: number[] = [];
  for (let chunk; (chunk = log.readChunk(Infinity, Infinity)) !== undefined;) {
    chunks.push(...chunk);
  }
  return Uint8Array.from(chunks);
}

/** A listener with an honest client that has to be left alone. */
async function withListener(
  options: ReliableListenerOptions<unknown, unknown>,
  run: (
    listener: ReturnType<typeof reliableListener>,
    errors: unknown[],
  ) => Promise<void>,
): Promise<void> {
  const errors: unknown[] = [];
  const inner = await listen("tcp:127.0.0.1:0");
  await using listener = reliableListener<unknown>(inner, {
    onError: (error) => errors.push(error),
    onDisconnect: (error) => errors.push(error),
    ...options,
  });
  const { codec } = options;
  await using honest = reliableChannel<unknown>(
    ({ signal }) => connect(inner.address, { signal }),
    { reconnect: HASTE, codec },
  );
  const server = await listener.accept();
  await run(listener, errors);
  const message = new TextEncoder().encode("still here");
  const sending = honest.send(message);
  assertEquals(await server.receive(), message);
  await sending;
  assertEquals(honest.stats.connections, 1);
  await honest.close();
}

const code = (error: unknown) =>
  (error as ProtocolError | FrameError | undefined)?.code;

const attacks: Record<string, [frames: () => Uint8Array[], string]> = {
  "more messages than its window": [() => [data(6)], "window"],
  "a message that leaves a gap": [() => [data(1, 1, 5)], "gap"],
  "an acknowledgement of nothing": [
    () => [encodeStatus(Kind.Status, { sent: 0, acknowledged: 9 })],
    "desynchronised",
  ],
  "a count of messages that never came": [
    () => [encodeStatus(Kind.Status, { sent: 7, acknowledged: 0 })],
    "gap",
  ],
  "a second greeting": [() => [hello()], "malformed"],
  "a frame of an unknown kind": [
    () => [controlFrame(99, new Uint8Array(3))],
    "malformed",
  ],
  "a control frame that is damaged": [() => {
    const frame = encodeStatus(Kind.Status, { sent: 0, acknowledged: 0 });
    frame[12] ^= 1;
    return [frame];
  }, "malformed"],
  "a length of 4 GiB": [
    () => [new Uint8Array([255, 255, 255, 255, 0, 0, 0, 0, 0])],
    "too-long",
  ],
  "a length below its header's": [
    () => [new Uint8Array([0, 0, 0, 1, 0, 0, 0, 0, 0])],
    "malformed",
  ],
};

for (const [name, [frames, expected]] of Object.entries(attacks)) {
  Deno.test(`hostile client: ${name} ends its connection only`, () =>
    withListener({
      window: { maxMessages: 5 },
      sessionTimeout: 50,
    }, async (listener, errors) => {
      await using peer = rawPeer();
      listener.attach(peer.theirs);
      peer.send(hello());
      assertEquals((await peer.next())?.kind, Kind.Welcome);
      peer.send(...frames());
      while (await peer.next() !== undefined);
      assertEquals(code(errors[0]), expected);
    }));
}

Deno.test("a message that is sent twice arrives once", () =>
  withListener({ codec: bytes }, async (listener) => {
    await using peer = rawPeer();
    const accepting = listener.accept();
    listener.attach(peer.theirs);
    peer.send(hello());
    await peer.next();
    peer.send(data(2), data(2), data(1, 1, 1), data(1, 1, 2));
    const session = await accepting;
    for (let n = 0; n < 3; n++) await session.receive({ timeout: 1000 });
    assertEquals(session.tryReceive(), undefined);
    assertEquals(session.stats.received, 3);
    assertEquals(session.stats.duplicates, 3);
    session.abort();
  }));

Deno.test("hostile client: a frame that stays partial is not waited for without end", () =>
  withListener(
    { timeouts: { partialFrame: 40 }, sessionTimeout: 10 },
    async (listener, errors) => {
      await using peer = rawPeer();
      listener.attach(peer.theirs);
      peer.send(hello());
      await peer.next();
      peer.send(data(1, 100).subarray(0, 50));
      while (await peer.next() !== undefined);
      assertEquals(code(errors[0]), "timeout");
    },
  ));

Deno.test("hostile client: a guessed or foreign session is not taken over", () => {
  let user = "alice";
  return withListener({ identify: () => user }, async (listener, errors) => {
    await using alice = rawPeer();
    listener.attach(alice.theirs);
    alice.send(hello());
    const welcome = await alice.next();
    alice.send(encodeStatus(Kind.Status, { sent: 0, acknowledged: 0 }));
    const id = welcome!.payload.slice(6, 22);
    const before = listener.sessions;

    user = "mallory";
    await using thief = rawPeer();
    listener.attach(thief.theirs);
    thief.send(hello({ id, flags: Flag.Resume }));
    assertEquals((await thief.next())?.kind, Kind.Refuse);
    assertEquals(code(errors[0]), "refused");

    // One that is only guessed opens a session of its own.
    await using guess = rawPeer();
    listener.attach(guess.theirs);
    guess.send(hello({ id: new Uint8Array(16).fill(7), flags: Flag.Resume }));
    const other = await guess.next();
    assertEquals(other?.kind, Kind.Welcome);
    assert(
      other!.payload.slice(6, 22).some((byte, index) => byte !== id[index]),
    );
    assertEquals(listener.sessions, before + 1);

    // Alice's connection never noticed.
    alice.send(encodeStatus(Kind.Ping, { sent: 0, acknowledged: 0 }));
    assertEquals((await alice.next())?.kind, Kind.Status);
  });
});

Deno.test("hostile client: a session can't be resumed with counts that can't be", () =>
  withListener({}, async (listener, errors) => {
    await using first = rawPeer();
    listener.attach(first.theirs);
    first.send(hello());
    const id = (await first.next())!.payload.slice(6, 22);
    for (
      const counts of [{ received: 5 }, { received: 5, acknowledged: 5 }, {
        acknowledged: 1,
      }, { first: 3 }]
    ) {
      await using again = rawPeer();
      listener.attach(again.theirs);
      again.send(hello({ id, flags: Flag.Resume, ...counts }));
      assertEquals((await again.next())?.kind, Kind.Refuse);
      assertEquals(code(errors.at(-1)), "desynchronised");
    }
  }));

Deno.test("hostile client: sessions and greetings are bounded", () =>
  withListener(
    { maxSessions: 3, timeouts: { connect: 100 } },
    async (listener, errors) => {
      const peers = Array.from({ length: 8 }, rawPeer);
      for (const peer of peers) listener.attach(peer.theirs); // and say nothing
      assertEquals(errors.map(code), Array(5).fill("refused"));
      for (const peer of peers.slice(0, 3)) {
        while (await peer.next() !== undefined); // out of time
      }
      const more = Array.from({ length: 3 }, rawPeer);
      const kinds = [];
      for (const peer of more) {
        listener.attach(peer.theirs);
        peer.send(hello());
        kinds.push((await peer.next())?.kind);
      }
      assertEquals(kinds, [Kind.Welcome, Kind.Welcome, Kind.Refuse]);
      assertEquals(listener.sessions, 3);
      for (const peer of [...peers, ...more]) await peer[Symbol.asyncDispose]();
    },
  ));

Deno.test("hostile server: a client refuses nonsense, and says which", async () => {
  for (
    const [answer, expected] of [
      [controlFrame(Kind.Welcome, new Uint8Array(54)), "version"],
      [
        hello({ received: 9 }).map((byte, i) => i === 4 ? Kind.Welcome : byte),
        "malformed",
      ],
      [
        encodeGreeting(Kind.Welcome, {
          flags: 0,
          id: new Uint8Array(16),
          maxMessages: 1,
          maxBytes: 1,
          first: 0,
          received: 3,
          acknowledged: 3,
        }),
        "desynchronised",
      ],
    ] as const
  ) {
    await using peer = rawPeer();
    const errors: unknown[] = [];
    const client = reliableChannel(() => Promise.resolve(peer.theirs), {
      reconnect: { retries: 0 },
      onDisconnect: (error) => errors.push(error),
    });
    peer.send(answer);
    const error = await client.closed.catch((error) => error);
    assertEquals(code(error), expected);
  }
});

Deno.test("hostile: any bytes end in an error, never in a crash or a wait", async () => {
  const runs: Uint8Array[] = [];
  forAll(40, (random: Random) => {
    const frames = [
      hello({ first: random.below(5) }),
      data(random.below(4), random.below(50)),
      encodeStatus(random.pick([Kind.Status, Kind.Ping]), {
        sent: random.below(4),
        acknowledged: random.below(2),
      }),
      random.bytes(random.below(30)),
    ];
    const bytes = frames.slice(random.below(2)).flatMap((frame) => [...frame]);
    for (let n = random.below(4); n > 0; n--) {
      bytes[random.below(bytes.length)] = random.below(256);
    }
    runs.push(Uint8Array.from(bytes));
  });
  await withListener(
    {
      timeouts: { connect: 30, idle: 30, partialFrame: 30 },
      sessionTimeout: 5,
    },
    async (listener) => {
      await Promise.all(runs.map(async (bytes) => {
        await using peer = rawPeer();
        listener.attach(peer.theirs);
        peer.send(bytes);
        while (await peer.next().catch(() => undefined) !== undefined);
      }));
    },
  );
});

Deno.test("credit: a peer that exceeds its credit gets a typed error", async () => {
  await using peer = rawPeer();
  const channel = creditChannel<Uint8Array>(peer.theirs, {
    window: { maxMessages: 2 },
  });
  peer.send(hello({ flags: Flag.Credit }), data(3));
  const error = await assertRejects(() => channel.closed, ProtocolError);
  assertEquals(error.code, "window");
});

Deno.test("credit: a peer that is no credit channel is refused", async () => {
  await using peer = rawPeer();
  const channel = creditChannel<number>(peer.theirs);
  peer.send(hello());
  await assertRejects(() => channel.send(1), DeliveryError);
  const error = await assertRejects(() => channel.closed, ProtocolError);
  assertEquals(error.code, "version");
});
