import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "@std/assert";
import {
  Ring,
  type RingReader,
  type RingWriter,
  SharedMemory,
} from "../shm/mod.ts";
import { hasProgram, noShm, uniqueName } from "./_shm.ts";

const COUNT = 1_000_000;
const CAPACITY = 65536;
const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Sends a million records of 4 to 64 bytes and checks that all come back. */
async function exchange(writer: RingWriter, reader: RingReader): Promise<void> {
  const words = new Int32Array(16);
  const parts = Array.from(
    { length: 16 },
    (_, i) => new Uint8Array(words.buffer, 0, 4 * (i + 1)),
  );
  const into = new Uint8Array(64);
  const back = new Int32Array(into.buffer);
  const started = performance.now();
  let sent = 0;
  let received = 0;
  while (received < COUNT) {
    const before = sent + received;
    for (; sent < COUNT; sent++) {
      words.fill(sent);
      if (!writer.tryWrite(parts[sent % 16])) break;
    }
    for (let length; (length = reader.tryRead(into)) >= 0; received++) {
      if (length !== 4 * (received % 16 + 1)) {
        throw new Error(`record ${received} has ${length} bytes`);
      }
      for (let i = 0; i < length / 4; i++) {
        if (back[i] !== received) {
          throw new Error(`record ${received} holds ${back[i]} at word ${i}`);
        }
      }
    }
    if (sent + received > before) continue;
    if (performance.now() - started > 60_000) throw new Error("too slow");
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function interop(
  language: string,
  needs: string,
  command: (directory: string) => Promise<string[]>,
): void {
  Deno.test(`Ring exchanges a million records with ${language}`, {
    // Python has no fences, and these peers are for 64-bit Linux.
    ignore: noShm || !hasProgram(needs) ||
      (language === "Python" && Deno.build.arch !== "x86_64"),
  }, async () => {
    const directory = await Deno.makeTempDir();
    try {
      const [program, ...args] = await command(directory);
      const each = Ring.byteLength(CAPACITY);
      using memory = SharedMemory.create(uniqueName(), { size: 2 * each });
      using writer = Ring.create(memory, { capacity: CAPACITY }).writer();
      using reader = Ring.create(memory, { capacity: CAPACITY, offset: each })
        .reader();
      const child = new Deno.Command(program, {
        args: [...args, memory.name!, String(COUNT)],
        stderr: "inherit",
      }).spawn();
      await exchange(writer, reader);
      assertEquals((await child.status).code, 0);
      // The peer ended in order, so there is an end after the last record.
      assertEquals(await reader.read(), null);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}

async function build(program: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args })
    .output();
  assert(success, new TextDecoder().decode(stderr));
}

interop("C", "gcc", async (directory) => {
  await build("gcc", [
    ...["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror"],
    ...["-I", path("../docs"), "-o", `${directory}/echo`],
    path("peers/ring_echo.c"),
  ]);
  return [`${directory}/echo`];
});

interop(
  "Python",
  "python3",
  () => Promise.resolve(["python3", path("peers/ring_echo.py")]),
);

interop("Rust", "rustc", async (directory) => {
  await build("rustc", [
    ...["-O", "-o", `${directory}/echo`, path("peers/ring_echo.rs")],
  ]);
  return [`${directory}/echo`];
});
