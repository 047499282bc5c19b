// What a hostile peer costs: no more than the bytes that it sent.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  channel,
  contentLength,
  FrameError,
  type FrameFormat,
  lengthPrefixed,
  messagePack,
  varint,
} from "../framing/mod.ts";
import { connectUnix, listenUnix } from "../socket/mod.ts";
import type { Duplex } from "../duplex.ts";
import { utf8 } from "./_framing.ts";
import { temporaryDirectory } from "./_tools.ts";

const CONNECTIONS = 10_000;

// What is only not collected yet is no cost.
setFlagsFromString("--expose-gc");
const gc: () => void = runInNewContext("gc");

/** Prefixes that promise much: refused, or the most that is allowed. */
const PROMISES: Record<string, [FrameFormat, Uint8Array<ArrayBuffer>][]> = {
  "4 GiB": [
    [lengthPrefixed(), new Uint8Array([255, 255, 255, 255])],
    [varint(), new Uint8Array([255, 255, 255, 255, 15])],
    [contentLength(), utf8("Content-Length: 4294967295\r\n\r\n")],
    [messagePack(), new Uint8Array([0xc6, 255, 255, 255, 255])],
    [messagePack(), new Uint8Array([0xdd, 255, 255, 255, 255])],
  ],
  "16 MiB": [
    [lengthPrefixed(), new Uint8Array([1, 0, 0, 0, 7])],
    [varint(), new Uint8Array([0x80, 0x80, 0x80, 8, 7])],
    [contentLength(), utf8("Content-Length: 16777216\r\n\r\n7")],
    [messagePack(), new Uint8Array([0xc6, 0, 255, 255, 0, 7])],
    [messagePack(), new Uint8Array([0xdd, 0, 255, 0, 0, 7])],
  ],
};

function memory(): number {
  gc();
  const { rss } = Deno.memoryUsage();
  return rss;
}

for (const [format, prefix] of PROMISES["4 GiB"]) {
  const name = `${format.name} of ${prefix.length} bytes`;
  Deno.test(`${CONNECTIONS} peers that promise 4 GiB are refused: ${name}`, () => {
    const before = memory();
    for (let i = 0; i < CONNECTIONS; i++) {
      const decoder = format.createDecoder();
      try {
        decoder.push(prefix, () => {});
        throw new Error("the prefix was taken");
      } catch (error) {
        assert(error instanceof FrameError && error.code === "too-long");
      }
    }
    const grown = memory() - before;
    assert(grown < 64e6, `memory grew by ${grown} bytes`);
  });
}

for (const [format, prefix] of PROMISES["16 MiB"]) {
  const name = `${format.name} of ${prefix.length} bytes`;
  Deno.test(`${CONNECTIONS} frames that promise 16 MiB cost little: ${name}`, () => {
    const before = memory();
    const decoders = Array.from({ length: CONNECTIONS }, () => {
      const decoder = format.createDecoder();
      decoder.push(prefix, () => {});
      return decoder;
    });
    const grown = memory() - before;
    // 160 GiB were promised.
    assert(grown < 100e6, `memory grew by ${grown} bytes`);
    assert(decoders.every((decoder) => decoder.buffered > 0));
  });
}

/** A duplex whose peer sends these bytes and no more. */
function sends(bytes: Uint8Array<ArrayBuffer>): Duplex {
  let sent = false;
  return {
    readable: new ReadableStream({
      pull(controller) {
        if (sent) return new Promise(() => {});
        sent = true;
        controller.enqueue(bytes);
      },
    }, { highWaterMark: 0 }),
    writable: new WritableStream(),
  };
}

Deno.test(`${CONNECTIONS} channels refuse 4 GiB, and the next as many cost nothing`, async () => {
  const pass = async () => {
    for (let i = 0; i < CONNECTIONS; i++) {
      const hostile = channel(sends(new Uint8Array([255, 255, 255, 255])));
      const error = await assertRejects(() => hostile.receive(), FrameError);
      assertEquals(error.code, "too-long");
    }
    return memory();
  };
  const before = await pass();
  const grown = await pass() - before;
  assert(grown < 64e6, `memory grew by ${grown} bytes`);
});

Deno.test(`${CONNECTIONS} channels open at once cost little, whatever is promised`, async () => {
  const before = memory();
  const open = Array.from(
    { length: CONNECTIONS },
    () => channel(sends(new Uint8Array([1, 0, 0, 0, 7]))),
  );
  await new Promise((resolve) => setTimeout(resolve, 0));
  const grown = memory() - before;
  // 160 GiB were promised.
  assert(grown < CONNECTIONS * 20_000, `memory grew by ${grown} bytes`);
  for (const one of open) one.abort();
});

Deno.test({
  name: "300 Unix sockets that promise much are refused or timed out",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/a.sock`;
    await using listener = await listenUnix({ path });
    const before = memory();
    const codes = Promise.all(Array.from({ length: 300 }, async () => {
      await using victim = channel(await listener.accept(), {
        partialFrameTimeout: 50,
      });
      const error = await assertRejects(() => victim.receive(), FrameError);
      return error.code;
    }));
    const peers = await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        const connection = await connectUnix({ path });
        const writer = connection.writable.getWriter();
        writer.write(new Uint8Array([i % 2 === 0 ? 255 : 0, 255, 0, 0, 1]))
          .catch(() => {});
        return connection;
      }),
    );
    const counts = Object.groupBy(await codes, (code) => code);
    assertEquals(counts["too-long"]?.length, 150);
    assertEquals(counts["timeout"]?.length, 150);
    const grown = memory() - before;
    assert(grown < 64e6, `memory grew by ${grown} bytes`);
    for (const peer of peers) peer.abort();
  },
});

Deno.test({
  name: `${CONNECTIONS} Unix sockets that promise 4 GiB leave the memory flat`,
  ignore: Deno.build.os === "windows",
  async fn() {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/a.sock`;
    await using listener = await listenUnix({ path });
    let refused = 0;
    const victim = async () => {
      await using hostile = channel(await listener.accept());
      const error = await assertRejects(() => hostile.receive(), FrameError);
      if (error.code === "too-long") refused++;
    };
    const peer = async () => {
      using conn = await Deno.connect({ transport: "unix", path });
      await conn.write(new Uint8Array([255, 255, 255, 255]));
      await conn.read(new Uint8Array(1)).catch(() => {}); // until it is refused
    };
    const pass = async (count: number) => {
      for (let done = 0; done < count; done += 100) {
        await Promise.all(
          Array.from({ length: 100 }, () => [victim(), peer()]).flat(),
        );
      }
      return memory();
    };
    const before = await pass(CONNECTIONS / 2);
    const grown = await pass(CONNECTIONS / 2) - before;
    assertEquals(refused, CONNECTIONS);
    assert(grown < 32e6, `memory grew by ${grown} bytes`);
  },
});

Deno.test("a frame by single bytes is timed out, however steady they come", async () => {
  const frame = new Uint8Array([0, 0, 1, 0, ...new Uint8Array(256)]);
  let at = 0;
  const slow = channel({
    readable: new ReadableStream<Uint8Array>({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        controller.enqueue(frame.subarray(at, ++at));
      },
    }, { highWaterMark: 0 }),
    writable: new WritableStream(),
  }, { partialFrameTimeout: 30 });
  const error = await assertRejects(() => slow.receive(), FrameError);
  assertEquals(error.code, "timeout");
  // The pull that was under way ends by itself.
  await new Promise((resolve) => setTimeout(resolve, 5));
});
