import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  SharedEvent,
  SharedMemory,
  SharedMutex,
  SharedSemaphore,
} from "../shm/mod.ts";
import {
  firstLine,
  killPeer,
  noShm,
  peerEnd,
  spawnPeer,
  uniqueName,
} from "./_shm.ts";
import { startPeer } from "./_tools.ts";

const ignore = noShm;

Deno.test("SharedMutex has 4 processes count to 1,000,000 without a loss", {
  ignore,
}, async () => {
  using memory = SharedMemory.create(uniqueName(), { size: 1024 });
  SharedMutex.create(memory);
  const start = SharedEvent.create(memory, { offset: 128 });
  const children = Array.from({ length: 4 }, () =>
    spawnPeer(
      `using m = shm.SharedMemory.open(args[0]);
       const mutex = shm.SharedMutex.open(m);
       const plain = new Float64Array(m.buffer, 128 + 512, 1);
       say("ready");
       await shm.SharedEvent.open(m, { offset: 128 }).wait();
       for (let i = 0; i < 250_000; i++) {
         const guard = mutex.tryLock() ?? await mutex.lock();
         plain[0]++;
         guard.release();
       }`,
      [memory.name!],
    ));
  for (const child of children) await firstLine(child.stdout);
  start.set(); // all at once
  assertEquals(await Promise.all(children.map(peerEnd)), [0, 0, 0, 0]);
  assertEquals(new Float64Array(memory.buffer, 128 + 512, 1)[0], 1_000_000);
});

Deno.test(
  "SharedMutex goes to the next with ownerDied when its owner is killed",
  {
    ignore,
  },
  async () => {
    using memory = SharedMemory.create(uniqueName(), { size: 1024 });
    const mutex = SharedMutex.create(memory);
    const child = spawnPeer(
      `globalThis.m = shm.SharedMemory.open(args[0]);
     globalThis.g = await shm.SharedMutex.open(m).lock();
     say("locked"); setInterval(() => {}, 1000);`,
      [memory.name!],
    );
    assertEquals(await firstLine(child.stdout), "locked");
    await assertRejects(
      () => mutex.lock({ timeout: 20 }),
      DOMException,
      "Cannot lock: timed out after 20 ms",
    );
    const waiting = [mutex.lock(), mutex.lock()].map((lock) =>
      lock.then((guard) => {
        guard.release();
        return guard.ownerDied;
      })
    );
    await killPeer(child);
    const died = await Promise.all(waiting);
    assertEquals(died.toSorted(), [false, true]);
    using guard = await mutex.lock();
    assertEquals(guard.ownerDied, false);
  },
);

Deno.test("SharedMutex is released once, by using, and waits in turns", {
  ignore,
}, async () => {
  using memory = SharedMemory.anonymous({ size: 1024 });
  const mutex = SharedMutex.create(memory);
  const same = SharedMutex.open(memory);
  let guard = await mutex.lock();
  assert(same.locked);
  assertEquals(same.tryLock(), undefined);
  const stop = new AbortController();
  const waiting = same.lock({ signal: stop.signal });
  stop.abort(new Error("stop"));
  await assertRejects(() => waiting, Error, "stop");
  const next = same.lock();
  guard.release();
  guard.release();
  guard = await next;
  assertEquals(guard.held, true);
  guard.release();
  assertEquals(mutex.locked, false);
  {
    using _guard = mutex.tryLock();
    assert(mutex.locked);
  }
  assert(!mutex.locked);
});

Deno.test(
  "SharedMutex says that its word was overwritten, or its memory closed",
  {
    ignore,
  },
  async () => {
    const memory = SharedMemory.anonymous({ size: 1024 });
    const mutex = SharedMutex.create(memory);
    const guard = await mutex.lock();
    new BigInt64Array(memory.buffer, 128 + 16, 1)[0] = 77n;
    assertThrows(
      () => guard.release(),
      Deno.errors.InvalidData,
      "process 77 holds it",
    );
    assertThrows(
      () => SharedMutex.create(memory),
      Deno.errors.AlreadyExists,
    );
    assertThrows(
      () => SharedSemaphore.open(memory),
      Deno.errors.InvalidData,
      'expected magic "SLSE" and version 1, received "SLMX" and 1',
    );
    assertThrows(
      () => SharedMutex.open(memory, { offset: 512 }),
      Deno.errors.NotFound,
    );
    memory.close();
    await assertRejects(() => mutex.lock(), Deno.errors.BadResource);
  },
);

Deno.test(
  "SharedSemaphore gives out its permits, and those of the dead again",
  {
    ignore,
  },
  async () => {
    using memory = SharedMemory.create(uniqueName(), { size: 1024 });
    const semaphore = SharedSemaphore.create(memory, { permits: 3 });
    const child = spawnPeer(
      `globalThis.m = shm.SharedMemory.open(args[0]);
     const semaphore = shm.SharedSemaphore.open(m);
     globalThis.held = [await semaphore.acquire(), await semaphore.acquire()];
     say("held"); setInterval(() => {}, 1000);`,
      [memory.name!],
    );
    assertEquals(await firstLine(child.stdout), "held");
    assertEquals(semaphore.available, 1);
    const first = await semaphore.acquire();
    assertEquals(semaphore.tryAcquire(), undefined);
    await assertRejects(() => semaphore.acquire({ timeout: 20 }), DOMException);
    const waiting = Promise.all([semaphore.acquire(), semaphore.acquire()]);
    await killPeer(child);
    const inherited = await waiting;
    assertEquals(inherited.map((guard) => guard.ownerDied), [true, true]);
    for (const guard of [first, ...inherited]) guard.release();
    assertEquals(semaphore.available, 3);
    assertThrows(
      () => SharedSemaphore.create(memory, { permits: 0 }),
      RangeError,
      "permits",
    );
  },
);

Deno.test("SharedEvent wakes who waits, in another process too", {
  ignore,
}, async () => {
  using memory = SharedMemory.create(uniqueName(), { size: 1024 });
  const event = SharedEvent.create(memory);
  const child = spawnPeer(
    `using m = shm.SharedMemory.open(args[0]);
     const event = shm.SharedEvent.open(m);
     say("waiting"); await event.wait({ timeout: 10_000 });`,
    [memory.name!],
  );
  assertEquals(await firstLine(child.stdout), "waiting");
  event.set();
  assertEquals(await peerEnd(child), 0);
  assert(event.isSet);
  await event.wait();
  event.reset();
  await assertRejects(() => event.wait({ timeout: 5 }), DOMException);
});

Deno.test("SharedEvent loses no setting that is taken back at once", {
  ignore,
}, async () => {
  using memory = SharedMemory.anonymous({ size: 1024 });
  const event = SharedEvent.create(memory);
  const waiting = Promise.all([event.wait(), event.wait()]);
  await new Promise((resolve) => setTimeout(resolve, 3)); // both sleep now
  event.set();
  event.reset();
  await waiting;
  memory.close();
  assertThrows(() => event.set(), Deno.errors.BadResource);
});

Deno.test("locks block no thread of the runtime while many wait", {
  ignore,
}, async () => {
  using memory = SharedMemory.anonymous({ size: 1024 });
  const mutex = SharedMutex.create(memory);
  const guard = await mutex.lock();
  const waiters = Array.from(
    { length: 100 },
    () => mutex.lock().then((guard) => guard.release()),
  );
  // With a blocked thread each, this read would find none of the 32 free.
  const text = await Deno.readTextFile("/proc/self/stat");
  assert(text.length > 0);
  assert(mutex.locked);
  guard.release();
  await Promise.all(waiters);
});

Deno.test(
  "a lock is not taken without knowing by whom, as with no descriptor left",
  {
    ignore: ignore || Deno.build.os !== "linux",
  },
  async () => {
    using memory = SharedMemory.create(uniqueName(), { size: 1024 });
    const mutex = SharedMutex.create(memory);
    const script = `import * as shm from ${
      JSON.stringify(new URL("../shm/mod.ts", import.meta.url).href)
    };
    const files = [];
    try {
      for (;;) files.push(Deno.openSync("/dev/null"));
    } catch { // there are no more
      files.pop().close();
    }
    using m = shm.SharedMemory.open(Deno.args[0]);
    const mutex = shm.SharedMutex.open(m);
    const said = [];
    try {
      mutex.tryLock();
    } catch (error) {
      said.push(error.message);
    }
    files.pop().close();
    globalThis.guard = mutex.tryLock();
    console.log(JSON.stringify(said));
    setInterval(() => {}, 1000);`;
    await using child = startPeer("sh", [
      "-c",
      `ulimit -n 64; exec "$@"`,
      "sh",
      Deno.execPath(),
      "eval",
      script,
      memory.name!,
    ]);
    assertEquals(JSON.parse(await child.line()), [
      "Cannot read when this process started: open failed with EMFILE",
    ]);
    await assertRejects(() => mutex.lock({ timeout: 50 }), DOMException);
  },
);
