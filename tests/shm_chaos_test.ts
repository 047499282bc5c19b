// Peers that are killed at random moments. SLUICE_CHAOS=50 kills fifty times as
// many, and so on. shm_steps_test.ts kills them between every two steps.

import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "@std/assert";
import { ConnectionClosedError } from "../duplex.ts";
import {
  Broadcast,
  listenShm,
  Ring,
  SeqLock,
  SharedMemory,
  SharedMutex,
  SharedQueue,
  struct,
} from "../shm/mod.ts";
import { peerCredentials } from "../socket/mod.ts";
import {
  hasProgram,
  killPeer,
  noShm,
  openSegments,
  random,
  segmentsGone,
  spawnPeer,
  uniqueName,
} from "./_shm.ts";

const SCALE = Number(Deno.env.get("SLUICE_CHAOS") ?? 1);
const CAPACITY = 4096;
const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const turn = () => new Promise((resolve) => setImmediate(resolve));

Deno.test("Ring survives C peers that are killed 2000 times", {
  ignore: noShm || !hasProgram("gcc"),
}, async () => {
  const directory = await Deno.makeTempDir();
  try {
    const { success, stderr } = await new Deno.Command("gcc", {
      args: [
        ...["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"],
        ...["-I", path("../docs"), "-o", `${directory}/chaos`],
        path("peers/ring_chaos.c"),
      ],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    const each = Ring.byteLength(CAPACITY);
    using memory = SharedMemory.create(uniqueName(), { size: 2 * each + 8 });
    using reader = Ring.create(memory, { capacity: CAPACITY }).reader();
    using writer = Ring.create(memory, { capacity: CAPACITY, offset: each })
      .writer();
    const verdict = new Int32Array(memory.buffer, 128 + 2 * each, 1);
    const child = new Deno.Command(`${directory}/chaos`, {
      args: [memory.name!, String(2000 * SCALE)],
      stderr: "inherit",
    }).spawn();
    let ended = false;
    const status = child.status.then((status) => (ended = true, status));

    const words = new Int32Array(31);
    const bytes = new Uint8Array(words.buffer);
    const into = new Int32Array(32);
    const intoBytes = new Uint8Array(into.buffer);
    let sent = 0;
    let [run, index, received, runs] = [-1, 0, 0, 0];
    while (!ended) {
      for (let i = 0; i < 200; i++) {
        const part = bytes.subarray(0, 4 * (1 + sent % 31));
        words.fill(sent);
        if (writer.tryWrite(part)) sent++;
      }
      for (let i = 0; i < 200; i++) {
        const length = reader.tryRead(intoBytes);
        if (length < 0) break;
        if (into[0] !== run) {
          assert(into[0] > run, `run ${into[0]} after ${run}`);
          [run, index] = [into[0], 0];
          runs++;
        }
        assertEquals(length, 4 * (2 + index % 30));
        for (let i = 1; i < length / 4; i++) assertEquals(into[i], index);
        index++;
        received++;
      }
      await turn();
    }
    assertEquals((await status).code, 0);
    assertEquals(Atomics.load(verdict, 0), 1);
    assert(runs > 100 && received > 1000, `${runs} runs, ${received} records`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

const Pair = struct({ first: "u64", filler: ["u64", 30], second: "u64" });

/** Where each structure lies in the segment of the test below. */
const PLACES = (() => {
  let end = 512;
  const place = (length: number) => {
    const offset = end;
    end = Math.ceil((end + length) / 128) * 128;
    return offset;
  };
  return {
    mutex: place(SharedMutex.byteLength),
    inbound: place(Ring.byteLength(CAPACITY)),
    outbound: place(Ring.byteLength(CAPACITY)),
    queue: place(SharedQueue.byteLength(CAPACITY)),
    broadcast: place(Broadcast.byteLength(CAPACITY)),
    seqlock: place(SeqLock.byteLength(Pair)),
    size: end,
  };
})();

/** Words of the segment: whose turn it is, how far it is, a guarded pair. */
const [TURN, STEPS, LEFT, RIGHT] = [0, 1, 2, 3];

/** Waits for its turn, then does everything at once until it is killed. */
const VICTIM = `
  const [name, id, text] = args;
  const at = JSON.parse(text);
  const m = shm.SharedMemory.open(name);
  const words = new Int32Array(m.buffer, 128, 16);
  while (Atomics.load(words, 0) !== Number(id)) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const open = (type, offset) => type.open(m, { offset });
  const writer = open(shm.Ring, at.inbound).writer();
  const reader = open(shm.Ring, at.outbound).reader();
  const producer = open(shm.SharedQueue, at.queue).producer();
  const sender = open(shm.Broadcast, at.broadcast).sender();
  const mutex = open(shm.SharedMutex, at.mutex);
  const Pair = shm.struct({ first: "u64", filler: ["u64", 30], second: "u64" });
  const seqlock = shm.SeqLock.open(m, Pair, { offset: at.seqlock });
  const payload = new Int32Array(24);
  const bytes = new Uint8Array(payload.buffer);
  const into = new Uint8Array(2048);
  const lengths = new Int32Array(8);
  for (let i = 0;; i++) {
    Atomics.add(words, 1, 1);
    payload.fill(i);
    const part = bytes.subarray(0, 4 * (1 + i % 24));
    if (i % 3 === 0) writer.tryWrite(part);
    else if (i % 3 === 1) writer.tryWriteMany([part, part]);
    else {
      const view = writer.tryReserve(96);
      if (view) { view.set(part); writer.commit(part.length); }
    }
    if (i % 3 === 0) reader.tryRead(into);
    else if (i % 3 === 1) reader.tryReadMany(into, lengths);
    else if (reader.tryPeek()) reader.release();
    if (i % 2) producer.tryWrite(part);
    else {
      const view = producer.tryReserve(part.length);
      if (view) { view.set(part); producer.commit(); }
    }
    sender.send(part);
    const guard = mutex.tryLock() ?? await mutex.lock();
    words[2]++;
    words[3]++;
    guard.release();
    const n = BigInt(i);
    seqlock.write({ first: n, filler: new BigUint64Array(30).fill(n), second: n });
  }`;

Deno.test("shm structures survive Deno peers that are killed 60 times", {
  ignore: noShm,
}, async () => {
  const kills = 60 * SCALE;
  const next = random(9);
  using memory = SharedMemory.create(uniqueName(), { size: PLACES.size });
  const words = new Int32Array(memory.buffer, 128, 16);
  const ring = { capacity: CAPACITY };
  using reader = Ring.create(memory, { ...ring, offset: PLACES.inbound })
    .reader();
  using writer = Ring.create(memory, { ...ring, offset: PLACES.outbound })
    .writer();
  using consumer = SharedQueue.create(memory, { ...ring, offset: PLACES.queue })
    .consumer();
  const receiver = Broadcast.create(memory, {
    ...ring,
    offset: PLACES.broadcast,
  }).receiver();
  const mutex = SharedMutex.create(memory, { offset: PLACES.mutex });
  const seqlock = SeqLock.create(memory, Pair, { offset: PLACES.seqlock });
  seqlock.write({ first: 0n });

  const into = new Int32Array(512);
  const bytes = new Uint8Array(into.buffer);
  const counts = { ring: 0, queue: 0, broadcast: 0, died: 0, mended: 0 };
  /** A record of one number over and over, as many times as it says. */
  const check = (length: number) => {
    const [first] = into;
    const good = length === 4 * (1 + first % 24) &&
      into.subarray(0, length / 4).every((word) => word === first);
    if (!good) throw new Error(`torn: ${into.subarray(0, length / 4)}`);
  };
  const work = () => {
    for (let length; (length = reader.tryRead(bytes)) >= 0; counts.ring++) {
      check(length);
    }
    for (let length; (length = consumer.tryRead(bytes)) >= 0; counts.queue++) {
      check(length);
    }
    for (let n = 0; n < 100; n++) {
      const length = receiver.tryRead(bytes);
      if (length < 0) break;
      check(length);
      counts.broadcast++;
    }
    while (writer.tryWrite(bytes.subarray(0, 64)));
    try {
      const { first, filler, second } = seqlock.read();
      assertEquals([second, ...filler], Array(31).fill(first));
    } catch (error) {
      assert(error instanceof ConnectionClosedError, String(error));
      counts.mended++;
    }
  };

  const spawn = (id: number) =>
    spawnPeer(VICTIM, [memory.name!, String(id), JSON.stringify(PLACES)]);
  const waiting: Deno.ChildProcess[] = [];
  let spawned = 0;
  try {
    for (let id = 1; id <= kills; id++) {
      while (waiting.length < 3) waiting.push(spawn(++spawned));
      const victim = waiting.shift()!;
      const before = Atomics.load(words, STEPS);
      Atomics.store(words, TURN, id);
      const started = performance.now();
      while (Atomics.load(words, STEPS) < before + 2) {
        work();
        await turn();
        assert(performance.now() - started < 20_000, `victim ${id} hangs`);
      }
      const steps = Atomics.load(words, STEPS) + Math.floor(next() * 200);
      while (Atomics.load(words, STEPS) < steps) work();
      victim.kill("SIGKILL");
      const killed = killPeer(victim);
      work();
      await killed;
      // Nobody else runs now, so what is held was the victim's.
      using guard = await mutex.lock({ timeout: 5_000 });
      if (guard.ownerDied) {
        counts.died++;
        words[RIGHT] = words[LEFT];
      }
      assertEquals(words[LEFT], words[RIGHT]);
      seqlock.write({
        first: 0n,
        filler: new BigUint64Array(30),
        second: 0n,
      });
      work();
    }
  } finally {
    await Promise.all(waiting.map(killPeer));
  }
  assert(counts.ring > kills && counts.queue > kills, JSON.stringify(counts));
  assert(counts.broadcast > kills, JSON.stringify(counts));
});

Deno.test("shm connections survive Deno peers that are killed 60 times", {
  ignore: noShm,
}, async () => {
  const kills = 60 * SCALE;
  const next = random(4);
  const directory = await Deno.makeTempDir();
  const address = `${directory}/a.sock`;
  const segments = new Set<number>();
  try {
    await using listener = await listenShm({
      path: address,
      capacity: CAPACITY,
    });
    const spawn = () =>
      spawnPeer(
        `const connection = await shm.connectShm({ path: args[0] });
         await connection.readable.pipeTo(connection.writable);`,
        [address],
      );
    const peers = new Map<number, Deno.ChildProcess>();
    const add = () => {
      const child = spawn();
      peers.set(child.pid, child);
    };
    add();
    for (let i = 0; i < kills; i++) {
      add();
      const connection = await listener.accept();
      const { pid } = peerCredentials(connection);
      const bytes = new Uint8Array(3000).fill(i);
      const writer = connection.writable.getWriter();
      let stopped = false;
      const writing = (async () => {
        while (!stopped) await writer.write(bytes);
      })();
      writing.catch(() => {});
      let received = 0;
      const stopAt = 1 + Math.floor(next() * 100_000);
      let killed: Promise<void> | undefined;
      const reading = (async () => {
        for await (const chunk of connection.readable) {
          if (chunk.some((byte) => byte !== (i & 255))) {
            throw new Error("wrong bytes");
          }
          received += chunk.length;
          if (received < stopAt || killed !== undefined) continue;
          for (const segment of openSegments(pid)) segments.add(segment);
          killed = killPeer(peers.get(pid)!);
        }
      })();
      const error = await reading.then(() => undefined, (error) => error);
      stopped = true;
      assert(error instanceof ConnectionClosedError, String(error));
      assertEquals(error.code, "lost");
      await writing.catch((error) =>
        assert(error instanceof ConnectionClosedError, String(error))
      );
      await killed;
      peers.delete(pid);
    }
    await listener.close();
    await Promise.all([...peers.values()].map(killPeer));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  assert(segments.size > 0); // inodes come again
  await segmentsGone(segments);
});
