// One end of bench/shm_channel.ts.
//
//   shm_channel.ts ROLE TRANSPORT PATH COUNT
//     ROLE       send, receive (one way by Web Streams), call, answer, nap

import type { Connection } from "../../duplex.ts";
import { bytes, channel } from "../../framing/mod.ts";
import { connectShm, listenShm } from "../../shm/mod.ts";
import { connectUnix, listenUnix } from "../../socket/mod.ts";

const [role, transport, path, countText] = Deno.args;
const count = Number(countText);
const warmUp = Math.floor(count / 5);
const payload = new Uint8Array(64).fill(7);

async function open(): Promise<Connection> {
  if (role === "receive" || role === "answer") {
    const listener = transport === "shm"
      ? await listenShm({ path })
      : await listenUnix({ path });
    const connection = await listener.accept();
    await listener.close();
    return connection;
  }
  return transport === "shm"
    ? await connectShm({ path, retry: true })
    : await connectUnix({ path, retry: true });
}

const both = channel<Uint8Array>(await open(), { codec: bytes });

async function call(): Promise<void> {
  both.send(payload);
  await both.receive();
}

switch (role) {
  case "send": {
    const writer = both.writable.getWriter();
    for (let sent = 0; sent < count + warmUp; sent++) {
      if (writer.desiredSize! <= 0) await writer.ready;
      writer.write(payload);
    }
    await writer.close();
    break;
  }
  case "receive": {
    const reader = both.readable.getReader();
    let received = 0, started = 0;
    while (!(await reader.read()).done) {
      if (++received === warmUp) started = performance.now();
    }
    // Nanoseconds for each message.
    console.log((performance.now() - started) / (received - warmUp) * 1e6);
    break;
  }
  case "answer": {
    for await (const message of both) both.send(message);
    break;
  }
  case "call": {
    for (let i = 0; i < warmUp; i++) await call();
    const started = performance.now();
    for (let i = 0; i < count; i++) await call();
    console.log((performance.now() - started) / count * 1e6);
    break;
  }
  case "nap": {
    // Both sides sleep before each call.
    for (let i = 0; i < 2000; i++) await call();
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      await new Promise((resolve) => setTimeout(resolve, 3));
      const started = performance.now();
      await call();
      times.push((performance.now() - started) * 1e6);
    }
    console.log(times.toSorted((a, b) => a - b)[count >> 1]);
    break;
  }
}
await both.close();
