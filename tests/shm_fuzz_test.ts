// Another process writes random bytes over the whole segment, headers included,
// while this one works in it: only typed errors may come of it, and no wait may
// go on.

import { assert, assertEquals } from "@std/assert";
import { ConnectionClosedError } from "../duplex.ts";
import {
  Broadcast,
  listenShm,
  Ring,
  SeqLock,
  SharedEvent,
  SharedMemory,
  SharedMutex,
  SharedQueue,
  SharedSemaphore,
  struct,
} from "../shm/mod.ts";
import {
  firstLine,
  killPeer,
  noShm,
  random,
  spawnPeer,
  uniqueName,
} from "./_shm.ts";

const SCALE = Number(Deno.env.get("SLUICE_CHAOS") ?? 1);
const CAPACITY = 1024;

/** Writes numbers large and small, aligned and not, until it is killed. */
const FUZZ = `
  let seed = 1;
  const next = (n) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor(seed / 2 ** 32 * n);
  };
  const fuzz = (view) => {
    const at = next(view.byteLength - 8);
    const kind = next(6);
    if (kind === 0) view.setUint8(at, next(256));
    else if (kind === 1) view.setInt32(at & ~3, next(2 ** 32), true);
    else if (kind === 2) view.setInt32(at & ~3, next(300) - 150, true);
    else if (kind === 3) view.setInt32(at & ~7, 8 * next(9), true);
    else if (kind === 4) view.setBigInt64(at & ~7, -1n, true);
    else view.setInt32(at & ~3, 0, true);
  };`;

/** Runs something; whether it threw, which only these may. */
async function typed(run: () => unknown): Promise<boolean> {
  try {
    await run();
    return false;
  } catch (error) {
    const known = error instanceof Deno.errors.InvalidData ||
      error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.Busy ||
      error instanceof Deno.errors.AlreadyExists ||
      error instanceof ConnectionClosedError ||
      error instanceof DOMException && error.name === "TimeoutError";
    if (!known) throw error;
    return true;
  }
}

Deno.test(
  "shm structures work on while a process writes random bytes over all of them",
  {
    ignore: noShm,
  },
  async () => {
    const Pair = struct({ name: "char[16]", flag: "bool", total: "f64" });
    const next = random(6);
    const sizes = [
      Ring.byteLength(CAPACITY),
      SharedQueue.byteLength(CAPACITY),
      Broadcast.byteLength(CAPACITY),
      SharedMutex.byteLength,
      SharedSemaphore.byteLength(8),
      SharedEvent.byteLength,
      SeqLock.byteLength(Pair),
    ];
    let size = 0;
    const places = sizes.map((length) => {
      const offset = size;
      size = Math.ceil((size + length) / 128) * 128;
      return { offset, capacity: CAPACITY, permits: 8 };
    });
    using memory = SharedMemory.create(uniqueName(), { size });
    const child = spawnPeer(
      `${FUZZ}
     const memory = shm.SharedMemory.open(args[0]);
     const view = new DataView(memory.buffer);
     say("ready");
     while (true) fuzz(view);`,
      [memory.name!],
    );
    const into = new Uint8Array(8192);
    const lengths = new Int32Array(16);
    const timeout = 5;
    let errors = 0;
    let operations = 0;
    const all = async (...runs: (() => unknown)[]) => {
      for (const run of runs) {
        operations++;
        if (await typed(run)) errors++;
      }
    };
    try {
      assertEquals(await firstLine(child.stdout), "ready");
      const started = performance.now();
      for (let now = started;; now = performance.now()) {
        // On a busy machine it takes longer to have tried enough.
        const enough = operations > 200 && errors > 50;
        if (enough && now - started > 1500 * SCALE) break;
        assert(now - started < 60_000 * SCALE, `${errors} of ${operations}`);
        // What is there is wiped first, so that much of it looks right for long.
        memory.bytes.fill(0);
        const [ringAt, queueAt, broadcastAt, mutexAt, semaphoreAt, eventAt] =
          places;
        const lockAt = places[6];
        const payload = into.subarray(0, Math.floor(next() * 200));
        await all(
          () => SharedMemory.open(memory.name!).close(),
          () => SharedMemory.list(),
          () => {
            const ring = Ring.create(memory, ringAt);
            using writer = ring.writer();
            using reader = Ring.open(memory, ringAt).reader();
            for (let i = 0; i < 100; i++) {
              writer.tryWrite(payload);
              writer.tryWriteMany([payload, payload]);
              if (writer.tryReserve(64)) writer.commit(i & 63);
              reader.tryRead(into);
              reader.tryReadMany(into, lengths);
              reader.tryReadBytes(into.subarray(0, 99));
              if (reader.tryPeek()) reader.release();
            }
          },
          async () => {
            using reader = Ring.open(memory, ringAt).reader();
            await reader.read({ timeout });
          },
          () => {
            const queue = SharedQueue.create(memory, queueAt);
            using producer = queue.producer();
            using consumer = SharedQueue.open(memory, queueAt).consumer();
            for (let i = 0; i < 100; i++) {
              producer.tryWrite(payload);
              if (producer.tryReserve(32)) producer.commit();
              consumer.tryRead(into);
            }
          },
          async () => {
            using consumer = SharedQueue.open(memory, queueAt).consumer();
            await consumer.read({ timeout });
          },
          () => {
            const broadcast = Broadcast.create(memory, broadcastAt);
            using sender = broadcast.sender();
            const receiver = Broadcast.open(memory, broadcastAt).receiver();
            for (let i = 0; i < 100; i++) {
              sender.send(payload);
              receiver.tryRead(into);
            }
          },
          async () => {
            const receiver = Broadcast.open(memory, broadcastAt).receiver();
            await receiver.receive({ timeout });
          },
          async () => {
            const mutex = SharedMutex.create(memory, mutexAt);
            for (let i = 0; i < 20; i++) {
              using _guard = await mutex.lock({ timeout });
            }
          },
          async () => {
            const semaphore = SharedSemaphore.create(memory, semaphoreAt);
            for (let i = 0; i < 20; i++) {
              using _guard = await semaphore.acquire({ timeout });
            }
          },
          async () => {
            const event = SharedEvent.create(memory, eventAt);
            await event.wait({ timeout });
          },
          () => {
            const seqlock = SeqLock.create(memory, Pair, lockAt);
            for (let i = 0; i < 20; i++) {
              seqlock.write({ name: "a", flag: true, total: i }, { timeout });
              seqlock.read({ timeout });
            }
          },
        );
      }
    } finally {
      await killPeer(child);
    }
  },
);

Deno.test(
  "shm connections break with a typed error while the peer writes random bytes",
  {
    ignore: noShm,
  },
  async () => {
    const directory = await Deno.makeTempDir();
    const path = `${directory}/a.sock`;
    try {
      await using listener = await listenShm({ path, capacity: CAPACITY });
      const child = spawnPeer(
        `${FUZZ}
       const turn = () => new Promise((resolve) => setImmediate(resolve));
       while (true) {
         const connection = await shm.connectShm({ path: args[0] })
           .catch(() => Deno.exit());
         let over = false;
         connection.closed.catch(() => {}).finally(() => over = true);
         connection.readable.pipeTo(connection.writable).catch(() => {});
         // The segment once more, behind the back of the connection.
         const entry = [...Deno.readDirSync("/proc/self/fd")].find(({ name }) => {
           try {
             return Deno.readLinkSync("/proc/self/fd/" + name).includes("memfd:sluice");
           } catch { return false; }
         });
         using file = Deno.openSync("/proc/self/fd/" + entry.name, { read: true, write: true });
         const bytes = new Uint8Array(8);
         const view = new DataView(new ArrayBuffer(64));
         while (!over) {
           for (let i = 0; i < 20; i++) {
             fuzz(view);
             file.seekSync(8 * next(450), Deno.SeekMode.Start);
             file.writeSync(new Uint8Array(view.buffer, 8 * next(8), 8));
           }
           await turn();
         }
         connection.abort();
       }`,
        [path],
      );
      const codes: Record<string, number> = {};
      try {
        for (let i = 0; i < 40 * SCALE; i++) {
          const connection = await listener.accept();
          // What the peer can do is to keep quiet: that is what time is for.
          const watch = setTimeout(() => connection.abort(), 200);
          const writing = (async () => {
            const writer = connection.writable.getWriter();
            while (true) await writer.write(new Uint8Array(300));
          })().catch(() => {});
          const reading = (async () => {
            for await (const _ of connection.readable);
            return "ended";
          })();
          const code = await reading.catch((error) => {
            assert(error instanceof ConnectionClosedError, String(error));
            return error.code;
          });
          codes[code] = (codes[code] ?? 0) + 1;
          connection.abort();
          await writing;
          clearTimeout(watch);
        }
      } finally {
        await listener.close();
        await killPeer(child);
      }
      assert(codes.lost > 0, JSON.stringify(codes));
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
);
