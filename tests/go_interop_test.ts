// A program in Go, written from docs/shm-layout.md alone: two rings of a named
// segment, and either side of a connection.

import { assert, assertEquals } from "@std/assert";
import { fileURLToPath } from "node:url";
import {
  Broadcast,
  connect,
  type Connection,
  ConnectionClosedError,
  listen,
  Ring,
  SeqLock,
  SharedMemory,
  SharedMutex,
  SharedQueue,
  struct,
} from "../mod.ts";
import { noShm, uniqueName } from "./_shm.ts";
import { hasProgram, startPeer, temporaryDirectory } from "./_tools.ts";

const source = fileURLToPath(new URL("peers/shm_peer.go", import.meta.url));
const LENGTHS = [1, 100, 5_000, 70_000, 300_000];

/** Sends 8 MB in pieces of all sizes, and reads them back. */
async function roundTrip(connection: Connection): Promise<number> {
  const total = 8_000_000;
  const byteAt = (place: number) => place % 251;
  const writing = (async () => {
    const writer = connection.writable.getWriter();
    for (let sent = 0, turn = 0; sent < total; turn++) {
      const length = Math.min(total - sent, LENGTHS[turn % LENGTHS.length]);
      await writer.write(
        Uint8Array.from({ length }, (_, index) => byteAt(sent + index)),
      );
      sent += length;
    }
    await writer.close();
  })();
  let received = 0;
  for await (const chunk of connection.readable) {
    const wrong = chunk.findIndex((byte, index) =>
      byte !== byteAt(received + index)
    );
    assertEquals(wrong, -1, `a wrong byte after ${received}`);
    received += chunk.length;
  }
  await writing;
  await connection.close();
  await connection.closed; // it ended in order
  return received;
}

/** Sends records to a ring and takes them from another. */
async function records(name: string, start: () => void, count: number) {
  const capacity = 65_536;
  const each = Ring.byteLength(capacity);
  using memory = SharedMemory.create(name, { size: 2 * each });
  using writer = Ring.create(memory, { capacity }).writer();
  using reader = Ring.create(memory, { capacity, offset: each }).reader();
  start();
  const record = (n: number) => new Uint8Array(n % 1000).fill(n % 256);
  const writing = (async () => {
    for (let n = 0; n < count; n++) await writer.write(record(n));
  })();
  for (let n = 0; n < count; n++) {
    assertEquals(await reader.read({ timeout: 10_000 }), record(n));
  }
  await writing;
  assertEquals(await reader.read({ timeout: 10_000 }), null);
}

Deno.test({
  name: "Go shares memory, by docs/shm-layout.md alone",
  ignore: noShm || !hasProgram("go"),
  async fn(context) {
    await using directory = await temporaryDirectory();
    const program = `${directory.path}/peer`;
    const { success, stderr } = await new Deno.Command("go", {
      args: ["build", "-o", program, source],
      env: { CGO_ENABLED: "0" },
      cwd: directory.path,
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    const path = (name: string) => `${directory.path}/${name}.sock`;

    await context.step("records of two rings", async () => {
      const name = uniqueName();
      let status: Promise<Deno.CommandStatus> | undefined;
      await records(name, () => {
        const peer = startPeer(program, ["ring", name, "10000"]);
        status = peer.status.finally(() => peer.kill());
      }, 10_000);
      assertEquals((await status!).code, 0);
    });

    const size = 64 * 1024;
    const capacity = 4096;
    const words = (bytes: Uint8Array) =>
      new DataView(bytes.buffer, bytes.byteOffset);

    await context.step(
      "a queue with two producers in Go and one here",
      async () => {
        using memory = SharedMemory.create(uniqueName(), { size });
        const queue = SharedQueue.create(memory, { capacity });
        using consumer = queue.consumer();
        using producer = queue.producer();
        const count = 10_000;
        await using first = startPeer(program, [
          "queue",
          memory.name!,
          `${count}`,
        ]);
        await using second = startPeer(program, [
          "queue",
          memory.name!,
          `${count}`,
        ]);
        const writing = (async () => {
          for (let n = 0; n < count; n++) {
            const record = new Uint8Array(8 + n % 1000);
            words(record).setUint32(0, 64, true); // where Go has its slot
            words(record).setUint32(4, n, true);
            await producer.write(record);
          }
        })();
        const next = new Map<number, number>();
        for (let n = 0; n < 3 * count; n++) {
          const record = words((await consumer.read({ timeout: 10_000 }))!);
          const from = record.getUint32(0, true);
          assertEquals(record.getUint32(4, true), next.get(from) ?? 0);
          next.set(from, (next.get(from) ?? 0) + 1);
        }
        await writing;
        assertEquals([...next.values()], [count, count, count]);
        assertEquals(consumer.lost, 0);
        assertEquals((await first.status).code, 0);
        assertEquals((await second.status).code, 0);
      },
    );

    await context.step("a receiver of broadcasts", async () => {
      using memory = SharedMemory.create(uniqueName(), { size });
      using sender = Broadcast.create(memory, { capacity }).sender();
      const count = 20_000;
      await using peer = startPeer(program, [
        "broadcast",
        memory.name!,
        `${count}`,
      ]);
      assertEquals(await peer.line(), "ready");
      for (let n = 0; n < count; n++) {
        const record = new Uint8Array(4 + n % 60);
        words(record).setUint32(0, n, true);
        sender.send(record);
        if (n % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      assert(Number(await peer.line()) > 0);
      assertEquals((await peer.status).code, 0);
    });

    await context.step("a mutex that both take", async () => {
      using memory = SharedMemory.create(uniqueName(), { size });
      const mutex = SharedMutex.create(memory);
      const counter = words(memory.bytes.subarray(64));
      await using peer = startPeer(program, ["mutex", memory.name!, "20000"]);
      let running = true;
      const status = peer.status.finally(() => running = false);
      let added = 0;
      while (running || added === 0) {
        using _guard = await mutex.lock({ timeout: 10_000 });
        counter.setUint32(0, counter.getUint32(0, true) + 1, true);
        added++;
      }
      assertEquals((await status).code, 0);
      assertEquals(counter.getUint32(0, true), 20_000 + added);
    });

    await context.step("a struct that Go writes", async () => {
      using memory = SharedMemory.create(uniqueName(), { size });
      const both = SeqLock.create(memory, struct({ a: "u32", b: "u32" }));
      await using peer = startPeer(program, [
        "seqlock",
        memory.name!,
        "100000",
      ]);
      let a = 0;
      while (a < 100_000) {
        const seen = both.read();
        assertEquals(seen.b, 2 * seen.a);
        assert(seen.a >= a);
        a = seen.a;
        await new Promise((resolve) => setImmediate(resolve));
      }
      assertEquals((await peer.status).code, 0);
    });

    await context.step("a client of a shm: listener", async () => {
      await using listener = await listen(`shm:${path("a")}`);
      await using peer = startPeer(program, ["connect", path("a")]);
      const sent = await roundTrip(await listener.accept());
      assertEquals(await peer.line(), String(sent));
      assertEquals((await peer.status).code, 0);
    });

    await context.step("a listener that shm: connects to", async () => {
      await using peer = startPeer(program, ["listen", path("b")]);
      assertEquals(await peer.line(), "ready");
      const sent = await roundTrip(await connect(`shm:${path("b")}`));
      assertEquals(await peer.line(), String(sent));
      assertEquals((await peer.status).code, 0);
    });

    await context.step("a client that is killed", async () => {
      await using listener = await listen(`shm:${path("c")}`);
      await using peer = startPeer(program, ["connect", path("c")]);
      const connection = await listener.accept();
      const reader = connection.readable.getReader();
      await connection.writable.getWriter().write(new Uint8Array([7]));
      assertEquals((await reader.read()).value, new Uint8Array([7]));
      peer.process.kill("SIGKILL");
      const error = await reader.read().catch((error) => error);
      assert(error instanceof ConnectionClosedError);
      assertEquals(error.code, "lost");
    });
  },
});
