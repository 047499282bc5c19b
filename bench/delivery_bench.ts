// What delivery costs apart from any transport, against a plain channel.
//
//   deno bench -A bench/delivery_bench.ts

import {
  creditChannel,
  reliableChannel,
  reliableListener,
} from "../delivery/mod.ts";
import type { Duplex, Listener } from "../duplex.ts";
import { bytes, channel } from "../framing/mod.ts";

const MESSAGES = 1000;
const payload = new Uint8Array(64).fill(7);

function duplexPair(): [Duplex, Duplex] {
  const there = new TransformStream<Uint8Array, Uint8Array>();
  const back = new TransformStream<Uint8Array, Uint8Array>();
  return [
    { readable: back.readable, writable: there.writable },
    { readable: there.readable, writable: back.writable },
  ];
}

/** Connections come by `attach` only. */
const nowhere = {
  address: "nowhere",
  accept: () => new Promise(() => {}),
  close: () => Promise.resolve(),
} as unknown as Listener;

async function receiveAll(
  input: { receive(): Promise<unknown> },
): Promise<void> {
  for (let n = 0; n < MESSAGES; n++) await input.receive();
}

const [plainHere, plainThere] = duplexPair();
const plain = channel<Uint8Array>(plainHere, { codec: bytes });
const plainPeer = channel<Uint8Array>(plainThere, { codec: bytes });

const [creditHere, creditThere] = duplexPair();
const credit = creditChannel<Uint8Array>(creditHere, { codec: bytes });
const creditPeer = creditChannel<Uint8Array>(creditThere, { codec: bytes });
await credit.ready;

async function openReliable(checksum: boolean) {
  const [here, there] = duplexPair();
  const listener = reliableListener<Uint8Array>(nowhere, { codec: bytes });
  listener.attach(there);
  const client = reliableChannel<Uint8Array>(() => Promise.resolve(here), {
    codec: bytes,
    checksum,
  });
  return { client, server: await listener.accept() };
}
const reliable = await openReliable(false);
const checked = await openReliable(true);

const group = `${MESSAGES} messages of 64 bytes`;
Deno.bench({
  name: "channel",
  group,
  baseline: true,
  async fn() {
    for (let n = 0; n < MESSAGES; n++) plain.send(payload);
    await receiveAll(plainPeer);
  },
});
Deno.bench({
  name: "creditChannel",
  group,
  async fn() {
    for (let n = 0; n < MESSAGES; n++) credit.trySend(payload);
    await receiveAll(creditPeer);
    await credit.flush();
  },
});
for (
  const [name, { client, server }] of [
    ["reliableChannel", reliable],
    ["reliableChannel with checksum", checked],
  ] as const
) {
  Deno.bench({
    name,
    group,
    async fn() {
      for (let n = 0; n < MESSAGES; n++) client.trySend(payload);
      await receiveAll(server);
      await client.flush();
    },
  });
}
Deno.bench({
  name: "reliableChannel, each send awaited together",
  group,
  async fn() {
    const sends = Array.from(
      { length: MESSAGES },
      () => reliable.client.send(payload),
    );
    await receiveAll(reliable.server);
    await Promise.all(sends);
  },
});
