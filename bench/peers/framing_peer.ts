// One end of the measurements of framing_throughput.ts.
//
// usage: framing_peer.ts ROLE WAY PATH COUNT
//   ROLE  send, receive
//   WAY   bare, streams, channel-streams, bytes, msgpack

import {
  bytes,
  channel,
  encodeFrame,
  FrameDecoderStream,
  FrameEncoderStream,
  lengthPrefixed,
  msgpack,
} from "../../framing/mod.ts";
import { connectUnix, listenUnix } from "../../socket/mod.ts";

const [role, way, path, countText] = Deno.args;
const count = Number(countText);
const warmUp = Math.floor(count / 5);
const format = lengthPrefixed();
const payload = new Uint8Array(64).fill(7);
const frameLength = payload.length + 4;
const message = { id: 12345, method: "compute", params: [1, 2.5, "three"] };
const codec = way === "msgpack" ? msgpack : bytes;

/** The receiving end listens. */
async function openConnection() {
  if (role === "send") {
    return await connectUnix({ path, retry: true });
  }
  const listener = await listenUnix({ path });
  const connection = await listener.accept();
  await listener.close();
  return connection;
}

async function openConn(): Promise<Deno.Conn> {
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

function report(operations: number, milliseconds: number): void {
  console.log(operations / milliseconds * 1000);
}

async function writeAll(conn: Deno.Conn, data: Uint8Array): Promise<void> {
  let at = await conn.write(data);
  while (at < data.length) at += await conn.write(data.subarray(at));
}

const runs: Record<string, () => Promise<void>> = {
  // The same bytes by the runtime alone, in pieces of 64 KiB.
  async "send bare"() {
    const conn = await openConn();
    const frame = encodeFrame(format, payload);
    const perPiece = Math.max(1, Math.floor(65536 / frame.length));
    const piece = new Uint8Array(perPiece * frame.length);
    for (let i = 0; i < perPiece; i++) piece.set(frame, i * frame.length);
    for (let sent = 0; sent < count + warmUp; sent += perPiece) {
      await writeAll(conn, piece);
    }
    conn.close();
  },
  async "receive bare"() {
    const conn = await openConn();
    const buffer = new Uint8Array(65536);
    let received = 0, start = 0;
    for (let size; (size = await conn.read(buffer)) !== null;) {
      received += size;
      if (start === 0 && received > warmUp * frameLength) {
        start = performance.now();
      }
    }
    report(received / frameLength - warmUp, performance.now() - start);
    conn.close();
  },
  async "send streams"() {
    const connection = await openConnection();
    const encoder = new FrameEncoderStream(format);
    const piping = encoder.readable.pipeTo(connection.writable);
    const writer = encoder.writable.getWriter();
    for (let sent = 0; sent < count + warmUp; sent++) {
      if (writer.desiredSize! <= 0) await writer.ready;
      writer.write(payload);
    }
    await writer.close();
    await piping;
    await connection.close();
  },
  async "receive streams"() {
    const connection = await openConnection();
    const reader = connection.readable
      .pipeThrough(new FrameDecoderStream(format)).getReader();
    let received = 0, start = 0;
    while (!(await reader.read()).done) {
      if (++received === warmUp) start = performance.now();
    }
    report(received - warmUp, performance.now() - start);
    await connection.close();
  },
  async "send channel"() {
    const out = channel<unknown>(await openConnection(), { codec });
    const value = way === "msgpack" ? message : payload;
    for (let sent = 0; sent < count + warmUp; sent++) {
      if (!out.trySend(value)) await out.send(value);
    }
    await out.close();
  },
  async "receive channel"() {
    const input = channel<unknown>(await openConnection(), { codec });
    let received = 0, start = 0;
    for await (const _ of input) {
      if (++received === warmUp) start = performance.now();
    }
    report(received - warmUp, performance.now() - start);
    await input.close();
  },
  async "send channel streams"() {
    const out = channel<unknown>(await openConnection(), { codec });
    const writer = out.writable.getWriter();
    for (let sent = 0; sent < count + warmUp; sent++) {
      if (writer.desiredSize! <= 0) await writer.ready;
      writer.write(payload);
    }
    await writer.close();
    await out.close();
  },
  async "receive channel streams"() {
    const input = channel<unknown>(await openConnection(), { codec });
    const reader = input.readable.getReader();
    let received = 0, start = 0;
    while (!(await reader.read()).done) {
      if (++received === warmUp) start = performance.now();
    }
    report(received - warmUp, performance.now() - start);
    await input.close();
  },
};

const isChannel = way === "bytes" || way === "msgpack";
await runs[`${role} ${isChannel ? "channel" : way.replace("-", " ")}`]();
