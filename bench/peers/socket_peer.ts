// One end of the measurements of socket_throughput.ts.
//
// usage: socket_peer.ts ROLE WAY PATH BYTES
//   ROLE  send, receive
//   WAY   bare (conn.read, conn.write), fresh (as bare, with a new buffer for
//         each read), runtime (conn.readable, conn.writable), sluice
//         (connectUnix, listenUnix), byob (as sluice, with a BYOB reader)

import type { Duplex } from "../../duplex.ts";
import { connectUnix, listenUnix } from "../../socket/mod.ts";

const PIECE = 64 * 1024;
/** As large as the reads of the default reader. */
const BYOB_SIZE = 256 * 1024;
const [role, way, path, bytesText] = Deno.args;
const total = Number(bytesText);
const warmUp = Math.floor(total / 8);

type Ends = Duplex;

async function openConn(): Promise<Deno.UnixConn> {
  if (role === "send") {
    for (;;) {
      try {
        return await Deno.connect({ transport: "unix", path });
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }
  const listener = Deno.listen({ transport: "unix", path });
  const conn = await listener.accept();
  listener.close();
  return conn;
}

async function openEnds(): Promise<Ends> {
  if (way === "runtime") return await openConn();
  if (role === "send") return await connectUnix({ path, retry: true });
  const listener = await listenUnix({ path });
  const connection = await listener.accept();
  await listener.close();
  return connection;
}

let received = 0, started = 0;

/** Counts a piece; the time starts after the warm-up. */
function count(length: number): void {
  received += length;
  if (started === 0 && received >= warmUp) {
    started = performance.now();
    received = 0;
  }
}

/** Prints bytes per second. */
function report(): void {
  console.log(received / (performance.now() - started) * 1000);
}

const piece = new Uint8Array(PIECE).fill(7);

/** What was read last: a reader that hands out chunks has to keep them. */
let chunk = new Uint8Array(0);

if (way === "bare" || way === "fresh") {
  const conn = await openConn();
  if (role === "send") {
    for (let sent = 0; sent < total + warmUp; sent += PIECE) {
      let at = await conn.write(piece);
      while (at < PIECE) at += await conn.write(piece.subarray(at));
    }
  } else if (way === "fresh") {
    for (;;) {
      const buffer = new Uint8Array(PIECE);
      const size = await conn.read(buffer);
      if (size === null) break;
      chunk = buffer.subarray(0, size);
      count(chunk.length);
    }
    report();
  } else {
    const buffer = new Uint8Array(PIECE);
    for (let size; (size = await conn.read(buffer)) !== null;) count(size);
    report();
  }
  conn.close();
} else if (role === "send") {
  const writer = (await openEnds()).writable.getWriter();
  for (let sent = 0; sent < total + warmUp; sent += PIECE) {
    await writer.ready;
    writer.write(piece);
  }
  await writer.close();
} else if (way === "byob") {
  const reader = (await openEnds()).readable.getReader({ mode: "byob" });
  let buffer = new ArrayBuffer(BYOB_SIZE);
  for (;;) {
    const { value, done } = await reader.read(new Uint8Array(buffer));
    if (done) break;
    count(value.length);
    buffer = value.buffer;
  }
  report();
} else {
  const reader = (await openEnds()).readable.getReader();
  for (let next; !(next = await reader.read()).done;) count(next.value.length);
  report();
}
Deno.exit();
