// FIFOs: making them, opening them, and the days when the other side is missing.

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { type Connection, ConnectionClosedError } from "../duplex.ts";
import {
  type FifoWriter,
  mkfifo,
  openFifo,
  openFifoPair,
  pipeCapacity,
  setPipeCapacity,
} from "../pipe/mod.ts";
import {
  countDescriptors,
  startDenoPeer,
  temporaryDirectory,
} from "./_tools.ts";

const ignore = Deno.build.os === "windows";
const linux = Deno.build.os === "linux";

function test(name: string, fn: (directory: string) => Promise<void>): void {
  Deno.test({
    name,
    ignore,
    async fn() {
      await using directory = await temporaryDirectory();
      await fn(directory.path);
      assertEquals(
        [...Deno.readDirSync(directory.path)].map((e) => e.name),
        [],
      );
    },
  });
}

const text = (stream: ReadableStream<Uint8Array>) =>
  new Response(stream as BodyInit).text();
const bytes = (value: string) => new TextEncoder().encode(value);

/** Fills the pipe, and what the reader's side takes ahead of its user. */
async function fill(writer: FifoWriter): Promise<void> {
  for (;;) {
    try {
      await writer.writeAtomic(new Uint8Array(4096), { timeout: 20 });
    } catch (error) {
      if ((error as Error).name !== "TimeoutError") throw error;
      return;
    }
  }
}

test("mkfifo gives the mode whatever the umask, and removes on dispose", async (directory) => {
  const before = Deno.umask(0o077);
  try {
    for (const mode of [0o600, 0o622, 0o777]) {
      using fifo = await mkfifo(`${directory}/a`, { mode });
      const info = Deno.statSync(fifo.path);
      assertEquals(info.isFifo, true);
      assertEquals((info.mode ?? 0) & 0o777, mode);
    }
  } finally {
    Deno.umask(before);
  }
});

test("mkfifo refuses a path that exists, unless told what to do", async (directory) => {
  const path = `${directory}/a`;
  await Deno.writeTextFile(path, "precious");
  for (const ifExists of ["error", "reuse", "replace"] as const) {
    await assertRejects(
      () => mkfifo(path, { ifExists }),
      Deno.errors.AlreadyExists,
      "is no FIFO",
    );
  }
  assertEquals(await Deno.readTextFile(path), "precious");
  await Deno.remove(path);

  const stale = await mkfifo(path);
  await assertRejects(
    () => mkfifo(path),
    Deno.errors.AlreadyExists,
    'ifExists "reuse" or "replace"',
  );
  const { ino } = Deno.statSync(path);
  await mkfifo(path, { ifExists: "reuse" });
  assertEquals(Deno.statSync(path).ino, ino);
  using fifo = await mkfifo(path, { ifExists: "replace" });
  stale.remove(); // a newer one is there
  assert(Deno.statSync(path).isFifo);
  {
    await using _reader = await openFifo(path, "read", { keepOpen: true });
    await assertRejects(
      () => mkfifo(path, { ifExists: "replace" }),
      Deno.errors.Busy,
      "a process reads the FIFO",
    );
  }
  fifo.remove();
  fifo.remove();
});

test("mkfifo says which directory is missing", async (directory) => {
  await assertRejects(
    () => mkfifo(`${directory}/no/a`),
    Deno.errors.NotFound,
    `the directory ${directory}/no/ does not exist`,
  );
});

test("mkfifo and openFifo check their arguments", async () => {
  await assertRejects(() => mkfifo(""), TypeError, "path");
  await assertRejects(() => mkfifo("a\0b"), TypeError, "path");
  await assertRejects(() => mkfifo("a", { mode: 0o1000 }), RangeError, "mode");
  await assertRejects(
    () => mkfifo("a", { ifExists: "no" as "error" }),
    TypeError,
    "ifExists",
  );
  await assertRejects(() => openFifo("a", "both" as "read"), TypeError, "end");
  await assertRejects(
    () => openFifo("a", "read", { highWaterMark: -1 }),
    RangeError,
    "highWaterMark",
  );
});

test("openFifo names what is at the path instead of a FIFO", async (directory) => {
  const path = `${directory}/a`;
  for (const end of ["read", "write"] as const) {
    const open = () => openFifo(path, end as "read");
    await assertRejects(open, Deno.errors.NotFound, "make it with mkfifo");
    await Deno.writeTextFile(path, "precious");
    await assertRejects(open, Deno.errors.InvalidData, "a regular file");
    assertEquals(await Deno.readTextFile(path), "precious");
    await Deno.remove(path);
    await Deno.mkdir(path);
    await assertRejects(open, Deno.errors.InvalidData, "a directory");
    await Deno.remove(path);
  }
});

test("openFifo gives up on the other end by time and by signal", async (directory) => {
  using fifo = await mkfifo(`${directory}/a`);
  const before = linux ? countDescriptors() : 0;
  for (
    const [end, reason] of [
      ["read", "no process opened it for writing"],
      ["write", "no process has it open for reading"],
    ] as const
  ) {
    const error = await assertRejects(
      () => openFifo(fifo.path, end as "read", { timeout: 20 }),
      DOMException,
      reason,
    );
    assertEquals(error.name, "TimeoutError");
    const stop = new AbortController();
    const opening = openFifo(fifo.path, end as "read", { signal: stop.signal });
    stop.abort(new Error("enough"));
    await assertRejects(() => opening, Error, "enough");
  }
  if (linux) assertEquals(countDescriptors(), before);
});

test("openFifo holds no blocking thread while it waits", async (directory) => {
  using fifo = await mkfifo(`${directory}/a`);
  const stop = new AbortController();
  const waiting = Array.from({ length: 100 }, () => {
    const opening = openFifo(fifo.path, "write", { signal: stop.signal });
    return assertRejects(() => opening);
  });
  // With 32 threads blocked, this would wait for one of them.
  assertEquals(await Deno.readTextFile(import.meta.filename!) !== "", true);
  stop.abort();
  await Promise.all(waiting);
});

test("openFifo finds the FIFO that replaced the one it waits on", async (directory) => {
  const path = `${directory}/a`;
  await mkfifo(path);
  const opening = openFifo(path, "read");
  // Under another name first: for a moment there would be none.
  await Deno.rename((await mkfifo(`${directory}/b`)).path, path);
  await using writer = await openFifo(path, "write");
  await using reader = await opening;
  await writer.writeAtomic("new");
  await writer.close();
  assertEquals(await text(reader.readable), "new");
  await Deno.remove(path);
});

test("openFifo says when the FIFO it waits on is removed", async (directory) => {
  const path = `${directory}/a`;
  for (const end of ["read", "write"] as const) {
    await mkfifo(path);
    const failed = assertRejects(
      () => openFifo(path, end as "read"),
      Deno.errors.NotFound,
    );
    await Deno.remove(path);
    await failed;
  }
});

test("a reader gets all from writers that follow each other with keepOpen", async (directory) => {
  using fifo = await mkfifo(`${directory}/a`);
  const reader = await openFifo(fifo.path, "read", { keepOpen: true });
  const source = reader.readable.getReader();
  for (let turn = 0; turn < 3; turn++) {
    await using writer = await openFifo(fifo.path, "write");
    await writer.writeAtomic(bytes(`turn ${turn}`));
    const { value } = await source.read();
    assertEquals(new TextDecoder().decode(value), `turn ${turn}`);
  }
  const last = source.read();
  await reader.close();
  assertEquals((await last).done, true);
});

test("a killed writer leaves a reader with all it wrote, then the end", async (directory) => {
  using fifo = await mkfifo(`${directory}/a`);
  await using peer = startDenoPeer("fifo_peer.ts", "write", fifo.path);
  await using reader = await openFifo(fifo.path, "read");
  assertEquals(await peer.line(), "open");
  await peer.kill();
  assertEquals(await text(reader.readable), "before the end");
  await reader.closed;
});

test("a killed reader breaks the writer", async (directory) => {
  using fifo = await mkfifo(`${directory}/a`);
  const before = linux ? countDescriptors() : 0;
  await using peer = startDenoPeer("fifo_peer.ts", "read", fifo.path);
  const writer = await openFifo(fifo.path, "write");
  assertEquals(await peer.line(), "open");
  await peer.kill();
  await assertRejects(
    () => writer.writeAtomic(bytes("x")),
    Deno.errors.BrokenPipe,
    `Cannot write to the FIFO ${fifo.path}`,
  );
  const error = await assertRejects(
    () => writer.writable.getWriter().write(bytes("x")),
    ConnectionClosedError,
  );
  assertEquals(error.code, "lost");
  assert(error.cause instanceof Deno.errors.BrokenPipe);
  await assertRejects(() => writer.closed, ConnectionClosedError);
  await writer.close();
  if (linux) assertEquals(countDescriptors(), before);
});

test("a reader that stops breaks a write that waits for room", async (directory) => {
  using fifo = await mkfifo(`${directory}/a`);
  const reader = await openFifo(fifo.path, "read", { keepOpen: true });
  const writer = await openFifo(fifo.path, "write");
  await fill(writer);
  const waiting = [
    writer.writable.getWriter().write(new Uint8Array(1 << 20)),
    writer.writeAtomic(bytes("x")),
  ];
  const settled = Promise.allSettled(waiting);
  await reader.close();
  for (const { status } of await settled) assertEquals(status, "rejected");
  await assertRejects(() => writer.closed, ConnectionClosedError);
});

test("writeAtomic keeps the messages of 8 processes whole", async (directory) => {
  using fifo = await mkfifo(`${directory}/a`);
  await using reader = await openFifo(fifo.path, "read", { keepOpen: true });
  const peers = Array.from(
    { length: 8 },
    (_, index) =>
      startDenoPeer("fifo_peer.ts", "atomic", fifo.path, String(index)),
  );
  const done = Promise.all(peers.map((peer) => peer.status));
  done.then(() => reader.close()); // all of it is in the pipe or was read
  const counts = new Array(8).fill(0);
  let rest = new Uint8Array(0);
  const source = reader.readable.getReader();
  while (counts.some((count) => count < 300)) {
    const { value, done } = await source.read();
    if (done) break;
    const all = new Uint8Array(rest.length + value.length);
    all.set(rest);
    all.set(value, rest.length);
    let at = 0;
    while (at + 2 <= all.length) {
      const length = all[at] << 8 | all[at + 1];
      if (at + length > all.length) break;
      const body = all.subarray(at + 2, at + length);
      assert(body.every((byte) => byte === body[0]), "two messages mixed");
      counts[body[0]]++;
      at += length;
    }
    rest = all.slice(at);
  }
  assertEquals(counts, new Array(8).fill(300));
  for (const { success } of await done) assert(success);
  for (const peer of peers) await peer.kill();
});

test("writeAtomic refuses what can't be atomic, and takes nothing back half", async (directory) => {
  using fifo = await mkfifo(`${directory}/a`);
  await using reader = await openFifo(fifo.path, "read", { keepOpen: true });
  await using writer = await openFifo(fifo.path, "write");
  await assertRejects(
    () => writer.writeAtomic(new Uint8Array(4097)),
    RangeError,
    "a message of 4097 bytes exceeds the PIPE_BUF",
  );
  await assertRejects(
    () => writer.writeAtomic(5 as unknown as Uint8Array),
    TypeError,
    "expected a Uint8Array or a string, received 5",
  );
  await assertRejects(
    () => writer.writeAtomic("ä".repeat(2049)), // in bytes, as UTF-8
    RangeError,
    "a message of 4098 bytes exceeds the PIPE_BUF",
  );
  await fill(writer);
  const error = await assertRejects(
    () => writer.writeAtomic(bytes("late"), { timeout: 10 }),
    DOMException,
  );
  assertEquals(error.name, "TimeoutError");
  await assertRejects(
    () =>
      writer.writeAtomic(bytes("late"), {
        signal: AbortSignal.abort(new Error("no")),
      }),
  );
  // Room comes: the message goes; the one that timed out never does.
  const sent = writer.writeAtomic(bytes("sent"));
  const source = reader.readable.getReader();
  let tail = "";
  while (!tail.endsWith("sent")) {
    const { value } = await source.read();
    tail = (tail + new TextDecoder().decode(value)).slice(-8);
  }
  assertEquals(tail, "\0\0\0\0sent");
  await sent;
});

test("a pair of FIFOs fails as one, and leaks no descriptor", async (directory) => {
  using there = await mkfifo(`${directory}/there`);
  using back = await mkfifo(`${directory}/back`);
  const before = linux ? countDescriptors() : 0;
  await assertRejects(
    () =>
      openFifoPair({
        readPath: back.path,
        writePath: there.path,
        timeout: 20,
      }),
    DOMException,
    "no process has the other ends open",
  );
  await assertRejects(
    () =>
      openFifoPair({ readPath: back.path, writePath: `${directory}/missing` }),
    Deno.errors.NotFound,
    "missing",
  );
  if (linux) assertEquals(countDescriptors(), before);
});

Deno.test({
  name: "pipeCapacity and setPipeCapacity see what the kernel does",
  ignore: !linux,
  async fn() {
    await using directory = await temporaryDirectory();
    using fifo = await mkfifo(`${directory.path}/a`);
    await using reader = await openFifo(fifo.path, "read", { keepOpen: true });
    await using writer = await openFifo(fifo.path, "write");
    assertEquals(setPipeCapacity(writer, 100_000), 131072);
    assertEquals(pipeCapacity(reader), 131072);
    await fill(writer);
    assertThrows(
      () => setPipeCapacity(reader, 4096),
      Deno.errors.Busy,
      "holds more than that right now",
    );
    assertThrows(() => setPipeCapacity(reader, 0), RangeError, "bytes");
    for (const target of [{}, "a", null]) {
      assertThrows(
        () => pipeCapacity(target as unknown as Connection),
        TypeError,
        "expected an end of a FIFO",
      );
    }
    await reader.close();
    assertThrows(() => pipeCapacity(reader), Deno.errors.BadResource, "closed");
  },
});

Deno.test({
  name: "FIFOs say what permission of the file system is missing",
  ignore: !linux || Deno.uid() !== 0,
  async fn() {
    await using directory = await temporaryDirectory();
    await using peer = startDenoPeer("fifo_peer.ts", "nobody", directory.path);
    const expected = [
      /^read: (PermissionDenied|NotCapable).*Cannot open the FIFO .*secret for reading: the file's mode forbids it$/,
      /^write: PermissionDenied: Cannot open the FIFO .*secret for writing: the file's mode forbids it$/,
      /^make: PermissionDenied: Cannot make the FIFO .*: the directory .* can't be written to$/,
      /^listen: PermissionDenied: /,
      /^connect: PermissionDenied: .*a client makes two FIFOs beside the path/,
      /^capacity: PermissionDenied: .*\/proc\/sys\/fs\/pipe-max-size/,
    ];
    await Deno.chmod(directory.path, 0o755);
    for (const pattern of expected) {
      const line = await peer.line();
      assert(pattern.test(line), line);
    }
  },
});

Deno.test({
  name: "FIFOs name --allow-ffi where it is missing",
  ignore,
  async fn() {
    const script = new URL("peers/fifo_without_ffi.ts", import.meta.url);
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--allow-read",
        "--allow-write",
        "--no-prompt",
        script.href,
      ],
    }).output();
    const lines = new TextDecoder().decode(stdout).trim().split("\n");
    assertEquals(lines.length, 6);
    for (const line of lines) {
      assert(
        /^NotCapable: Cannot .*run again with --allow-ffi$/.test(line),
        line,
      );
    }
  },
});
