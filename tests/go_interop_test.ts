// A program in Go, written from docs/shm-layout.md alone: two rings of a named
// segment, and either side of a connection.

import { assert, assertEquals } from "@std/assert";
import {
  connect,
  type Connection,
  ConnectionClosedError,
  listen,
  Ring,
  SharedMemory,
} from "../mod.ts";
import { noShm, uniqueName } from "./_shm.ts";
import { hasProgram, startPeer, temporaryDirectory } from "./_tools.ts";

const source = new URL("peers/shm_peer.go", import.meta.url).pathname;
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
