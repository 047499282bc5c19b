import { assert, assertEquals, assertThrows } from "@std/assert";
import { SharedMemory } from "../shm/mod.ts";
import { libc } from "../_libc/library.ts";
import {
  firstLine,
  killPeer,
  noShm,
  peerEnd,
  shmModule,
  spawnPeer,
  uniqueName,
} from "./_shm.ts";

const ignore = noShm;
const HEADER = 128;

Deno.test("SharedMemory.create shows the same bytes to another process", {
  ignore,
}, async () => {
  using memory = SharedMemory.create(uniqueName(), { size: 100 });
  memory.bytes[5] = 42;
  const child = spawnPeer(
    `using m = shm.SharedMemory.open(args[0]); m.bytes[6] = m.bytes[5] + 1;`,
    [memory.name!],
  );
  assertEquals(await peerEnd(child), 0);
  assertEquals(memory.bytes[6], 43);
});

Deno.test("SharedMemory rounds up to whole pages", { ignore }, () => {
  using memory = SharedMemory.create(uniqueName(), { size: 4096 - HEADER });
  assertEquals(memory.buffer.byteLength, 4096);
  using larger = SharedMemory.anonymous({ size: 4096 - HEADER + 1 });
  assertEquals(larger.buffer.byteLength, 8192);
  assertEquals(larger.size, 8192 - HEADER);
});

Deno.test("SharedMemory.anonymous takes its size bare or as options", {
  ignore,
}, () => {
  for (const size of [5000, { size: 5000 }]) {
    using memory = SharedMemory.anonymous(size);
    assertEquals(memory.bytes.length, 2 * 4096 - HEADER);
  }
  assertThrows(() => SharedMemory.anonymous(0), RangeError, "Invalid size");
});

Deno.test("SharedMemory views are empty after close", { ignore }, () => {
  const memory = SharedMemory.anonymous({ size: 4096 });
  const bytes = memory.bytes;
  const words = new Int32Array(memory.buffer);
  bytes[0] = 1;
  memory.close();
  memory.close();
  assertEquals([bytes.length, words.length, memory.size], [0, 0, 0]);
  assertEquals(bytes[0], undefined);
  words[0] = 5; // goes nowhere instead of crashing
  assertThrows(() => memory.fd, Deno.errors.BadResource, "it is closed");
});

Deno.test("SharedMemory survives a transferred buffer", { ignore }, () => {
  const memory = SharedMemory.anonymous({ size: 4096 });
  const stolen = new Uint8Array(memory.buffer.transfer());
  memory.close();
  stolen[200] = 7; // still mapped
  assertEquals(stolen[200], 7);
});

Deno.test(
  "SharedMemory that nobody closed gives its memory back, and never faults",
  {
    ignore,
  },
  async () => {
    const script = await Deno.makeTempFile({ suffix: ".ts" });
    await Deno.writeTextFile(
      script,
      `import { SharedMemory } from ${shmModule};
     let stolen, view;
     (() => {
       stolen = new Uint8Array(SharedMemory.anonymous({ size: 1 << 20 }).buffer.transfer());
       view = new Uint8Array(SharedMemory.anonymous({ size: 1 << 20 }).buffer);
       for (let i = 0; i < 20; i++) SharedMemory.anonymous({ size: 1 << 20 });
       view[200] = 9;
     })();
     const open = () => Deno.readTextFileSync("/proc/self/maps")
       .split("memfd:sluice").length - 1;
     for (let i = 0; i < 100 && open() > 1; i++) {
       gc();
       await new Promise((resolve) => setTimeout(resolve, 10));
     }
     stolen[200] = 7;
     console.log(open(), view[200], stolen[200]);`,
    );
    const { stdout, signal } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--v8-flags=--expose-gc", script],
    }).output();
    await Deno.remove(script);
    assertEquals(signal, null);
    // What a view still shows stays mapped, all else is gone.
    assertEquals(new TextDecoder().decode(stdout), "1 9 7\n");
  },
);

Deno.test("SharedMemory.close leaves the name of another segment alone", {
  ignore,
}, () => {
  const name = uniqueName();
  const old = SharedMemory.create(name, { size: 1 });
  SharedMemory.unlink(name);
  using _newer = SharedMemory.create(name, { size: 1 });
  old.close();
  SharedMemory.open(name).close();
});

Deno.test("SharedMemory.close removes the name, unless keep", {
  ignore,
}, () => {
  const name = uniqueName();
  SharedMemory.create(name, { size: 1 }).close();
  assertThrows(() => SharedMemory.open(name), Deno.errors.NotFound);
  SharedMemory.create(name, { size: 1, keep: true }).close();
  SharedMemory.open(name).close();
  SharedMemory.unlink(`/${name}`);
  assertThrows(
    () => SharedMemory.unlink(name),
    Deno.errors.NotFound,
    `Cannot unlink shared memory "${name}"`,
  );
});

Deno.test("SharedMemory.create refuses a name that is taken", {
  ignore,
}, () => {
  const name = uniqueName();
  using _memory = SharedMemory.create(name, { size: 1 });
  assertThrows(
    () => SharedMemory.create(name, { size: 1 }),
    Deno.errors.AlreadyExists,
    name,
  );
});

Deno.test("SharedMemory refuses bad names", { ignore }, () => {
  for (const name of ["", "/", "a/b", "../x", ".", "..", "a\0b", "//a"]) {
    assertThrows(
      () => SharedMemory.create(name, { size: 1 }),
      TypeError,
      "Invalid name",
    );
    assertThrows(() => SharedMemory.open(name), TypeError, "Invalid name");
  }
  assertThrows(
    () => SharedMemory.create("x".repeat(300), { size: 1 }),
    RangeError,
    "expected at most 254 bytes, received 300",
  );
});

Deno.test("SharedMemory refuses size 0 and size beyond memory", {
  ignore,
}, () => {
  for (const size of [0, -1, 1.5, NaN, 2 ** 33]) {
    assertThrows(() => SharedMemory.anonymous({ size }), RangeError, "size");
  }
  const { available, swapFree } = Deno.systemMemoryInfo();
  const beyond = available + swapFree + 2 ** 30;
  if (beyond < 2 ** 32) {
    assertThrows(
      () => SharedMemory.create(uniqueName(), { size: beyond }),
      RangeError,
      "of memory that are available",
    );
  }
});

Deno.test("SharedMemory.create keeps the mode", { ignore }, () => {
  using memory = SharedMemory.create(uniqueName(), { size: 1, mode: 0o400 });
  assertEquals(Deno.statSync(`/dev/shm/${memory.name}`).mode! & 0o777, 0o400);
});

Deno.test("SharedMemory.open says that permission is denied", {
  ignore: ignore || Deno.uid() !== 0,
}, async () => {
  using memory = SharedMemory.create(uniqueName(), { size: 1 });
  const library = new URL("../_libc/library.ts", import.meta.url).href;
  const child = spawnPeer(
    `const { libc } = await import(${JSON.stringify(library)});
     shm.SharedMemory.open(args[0]).close();
     libc("x").setuid(65534);
     try { shm.SharedMemory.open(args[0]); } catch (e) { say(String(e)); }`,
    [memory.name!],
  );
  assertEquals(
    await firstLine(child.stdout),
    `PermissionDenied: Cannot open shared memory "${memory.name}": ` +
      "its mode forbids it",
  );
  await killPeer(child);
});

Deno.test("SharedMemory asks for --allow-ffi by name", { ignore }, async () => {
  const script = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(
    script,
    `import { SharedMemory } from ${shmModule};
     try { SharedMemory.anonymous({ size: 1 }); } catch (e) { console.log(String(e)); }`,
  );
  const run = async (...flags: string[]) => {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--no-config",
        "--no-lock",
        ...flags,
        script,
      ],
    }).output();
    return new TextDecoder().decode(stdout).trim();
  };
  assertEquals(
    await run(),
    "NotCapable: Cannot create anonymous shared memory: requires ffi access, " +
      "run again with --allow-ffi",
  );
  // The runtime gives out no memory under --allow-ffi=<path>.
  const library = Deno.readTextFileSync("/proc/self/maps")
    .match(/\/\S*libc\.so\.6/)?.[0];
  if (library !== undefined) {
    assertEquals(
      await run(`--allow-ffi=${library}`),
      "NotCapable: Cannot create anonymous shared memory: requires ffi " +
        "access without a path, run again with --allow-ffi",
    );
  }
  await Deno.remove(script);
});

Deno.test("SharedMemory.fromDescriptor maps a sealed segment", {
  ignore,
}, () => {
  using memory = SharedMemory.anonymous({ size: 4096 });
  memory.bytes[9] = 9;
  using same = SharedMemory.fromDescriptor(memory.duplicate());
  assertEquals(same.bytes[9], 9);
});

Deno.test("SharedMemory.fd reaches a child through its stdio", {
  ignore,
}, async () => {
  using memory = SharedMemory.anonymous({ size: 4096 });
  memory.bytes[0] = 41;
  const { spawn } = await import("node:child_process");
  const child = spawn(Deno.execPath(), [
    "eval",
    "--no-check",
    `import { SharedMemory } from ${shmModule};
     using m = SharedMemory.fromDescriptor(3); m.bytes[0]++;`,
  ], { stdio: ["ignore", "inherit", "inherit", memory.fd] });
  await new Promise((resolve) => child.on("exit", resolve));
  assertEquals(memory.bytes[0], 42);
});

Deno.test("SharedMemory.fromDescriptor refuses an unsealed one", {
  ignore,
}, () => {
  const c = libc("test");
  const fd = c.memfd_create!(new TextEncoder().encode("x\0"), 3);
  c.ftruncate!(fd, 4096n);
  assertThrows(
    () => SharedMemory.fromDescriptor(fd),
    Deno.errors.InvalidData,
    "not sealed against shrinking (seals 0)",
  );
  assertThrows(() => SharedMemory.fromDescriptor(fd), Deno.errors.BadResource);
  assertThrows(() => SharedMemory.fromDescriptor(-1), RangeError);
});

for (
  const [what, spoil, message] of [
    [
      "a foreign one",
      (v: DataView) => v.setUint32(0, 0xdeadbeef, true),
      "not a Sluice segment, it starts with 0xdeadbeef",
    ],
    [
      "a newer version",
      (v: DataView) => v.setUint32(4, 9, true),
      "layout version 9 is newer than 1",
    ],
    [
      "an older version",
      (v: DataView) => v.setUint32(4, 0, true),
      "layout version 0 is older than 1",
    ],
    [
      "a wrong length",
      (v: DataView) => v.setBigUint64(8, 1n << 60n, true),
      "the header says 1152921504606846976 bytes, the segment holds 4096",
    ],
    [
      "a wrong header size",
      (v: DataView) => v.setUint32(16, 64, true),
      "the header says that it has 64 bytes",
    ],
  ] as const
) {
  Deno.test(`SharedMemory.open refuses ${what}`, { ignore }, () => {
    using memory = SharedMemory.create(uniqueName(), { size: 1 });
    spoil(new DataView(memory.buffer));
    assertThrows(
      () => SharedMemory.open(memory.name!),
      Deno.errors.InvalidData,
      message,
    );
  });
}

Deno.test("SharedMemory.open refuses truncated and unfinished segments", {
  ignore,
}, () => {
  const name = uniqueName();
  const path = `/dev/shm/${name}`;
  try {
    Deno.writeFileSync(path, new Uint8Array(0));
    assertThrows(
      () => SharedMemory.open(name),
      Deno.errors.InvalidData,
      "expected from 128 to 4294967296 bytes, it holds 0",
    );
    Deno.writeFileSync(path, new Uint8Array(4096));
    assertThrows(
      () => SharedMemory.open(name),
      Deno.errors.Busy,
      "it has no header yet",
    );
    // A header that is whole, of a segment that was cut off behind it.
    using memory = SharedMemory.create(uniqueName(), { size: 8192 });
    const whole = Deno.readFileSync(`/dev/shm/${memory.name}`);
    Deno.writeFileSync(path, whole.subarray(0, 4096));
    assertThrows(
      () => SharedMemory.open(name),
      Deno.errors.InvalidData,
      "the header says 12288 bytes, the segment holds 4096",
    );
    Deno.writeFileSync(path, whole.subarray(0, 100)); // and within it
    assertThrows(
      () => SharedMemory.open(name),
      Deno.errors.InvalidData,
      "expected from 128 to 4294967296 bytes, it holds 100",
    );
    assert(!SharedMemory.list().some((entry) => entry.name === name));
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("SharedMemory.prune removes what a killed process left", {
  ignore,
}, async () => {
  const [left, kept] = [uniqueName(), uniqueName()];
  using ours = SharedMemory.create(uniqueName(), { size: 1 });
  const child = spawnPeer(
    `globalThis.a = shm.SharedMemory.create(args[0], { size: 1 });
     globalThis.b = shm.SharedMemory.create(args[1], { size: 1, keep: true });
     say("ready"); setInterval(() => {}, 1000);`,
    [left, kept],
  );
  try {
    assertEquals(await firstLine(child.stdout), "ready");
    const names = [left, kept, ours.name];
    const find = () =>
      SharedMemory.list().filter(({ name }) => names.includes(name));
    assertEquals(find().map((entry) => entry.ownerAlive), [true, true, true]);
    await killPeer(child);
    const entry = find().find(({ name }) => name === left);
    assertEquals(entry, {
      name: left,
      length: 4096,
      ownerPid: child.pid,
      ownerAlive: false,
      keep: false,
    });
    assert(SharedMemory.prune().some(({ name }) => name === left));
    assertEquals(find().length, 2);
    SharedMemory.unlink(kept);
  } finally {
    await killPeer(child);
  }
});

Deno.test("SharedMemory.list tells a reused pid by its start time", {
  ignore,
}, () => {
  using memory = SharedMemory.create(uniqueName(), { size: 1 });
  const view = new DataView(memory.buffer);
  const entry = () =>
    SharedMemory.list().find(({ name }) => name === memory.name)!;
  view.setUint32(40, view.getUint32(40, true) + 1, true); // another namespace
  view.setBigUint64(32, view.getBigUint64(32, true) - 1n, true);
  assertEquals(entry().ownerAlive, undefined);
  assert(!SharedMemory.prune().some(({ name }) => name === memory.name));
  view.setUint32(40, view.getUint32(40, true) - 1, true);
  assertEquals(entry().ownerAlive, false);
});
