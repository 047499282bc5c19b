// One end of the measurements of delivery_throughput.ts.
//
// usage: delivery_peer.ts ROLE WAY CODEC PATH COUNT [BYTES]
//   ROLE  send, receive (one way); call, answer (round trips)
//   WAY   plain, credit, reliable, checked (with a checksum), awaited (each send)

import { bytes, type Channel, channel, msgpack } from "../../framing/mod.ts";
import {
  type CreditChannel,
  creditChannel,
  reliableChannel,
  reliableListener,
} from "../../delivery/mod.ts";
import { connectUnix, listenUnix } from "../../socket/mod.ts";

const [role, way, codecName, path, countText, bytesText = "64"] = Deno.args;
const count = Number(countText);
const warmUp = Math.floor(count / 5);
const codec = codecName === "msgpack" ? msgpack : bytes;
const value: unknown = codecName === "msgpack"
  ? { id: 12345, method: "compute", params: [1, 2.5, "three"] }
  : new Uint8Array(Number(bytesText)).fill(7);

async function open(): Promise<Channel<unknown, unknown>> {
  const connects = role === "send" || role === "call";
  if (way === "plain" || way === "credit") {
    const make = way === "plain" ? channel<unknown> : creditChannel<unknown>;
    if (connects) {
      return make(await connectUnix({ path, retry: true }), { codec });
    }
    await using listener = await listenUnix({ path });
    return make(await listener.accept(), { codec });
  }
  if (connects) {
    return reliableChannel<unknown>(
      ({ signal }) => connectUnix({ path, signal, retry: true }),
      { codec, checksum: way === "checked" },
    );
  }
  const listener = reliableListener<unknown>(await listenUnix({ path }), {
    codec,
  });
  return await listener.accept().finally(() => listener.close());
}

/** Sends without waiting for each message, and waits where there is no room. */
async function send(): Promise<void> {
  const plain = await open();
  const out = plain as CreditChannel<unknown, unknown>;
  if (way === "plain") {
    for (let sent = 0; sent < count + warmUp; sent++) {
      if (!out.trySend(value)) await out.send(value);
    }
  } else if (way === "awaited") {
    for (let sent = 0; sent < count + warmUp; sent++) {
      if (!out.canSend) await out.ready;
      out.send(value); // each has a promise of its own
    }
  } else {
    for (let sent = 0; sent < count + warmUp; sent++) {
      while (!out.trySend(value)) await out.ready;
    }
  }
  await out.close();
}

async function receive(): Promise<void> {
  const input = await open();
  let received = 0, start = 0;
  for await (const _ of input) {
    if (++received === warmUp) start = performance.now();
  }
  if (received !== count + warmUp) throw new Error(`${received} messages`);
  console.log(count / (performance.now() - start) * 1000);
  await input.close();
}

async function call(): Promise<void> {
  const both = await open();
  let start = 0;
  for (let i = 0; i < count + warmUp; i++) {
    if (i === warmUp) start = performance.now();
    both.trySend(value);
    await both.receive();
  }
  console.log(count / (performance.now() - start) * 1000);
  await both.close();
}

async function answer(): Promise<void> {
  const both = await open();
  for await (const message of both) both.trySend(message);
  await both.close();
}

const roles: Record<string, () => Promise<void>> = {
  send,
  receive,
  call,
  answer,
};
await roles[role]();
