// What watching a connection costs: 1,000 messages of 64 bytes through a pair of
// streams, and what a recorded time costs.
//
//   deno bench -A bench/observe_bench.ts

import { channel, lengthPrefixed, msgpack } from "../framing/mod.ts";
import type { Duplex } from "../duplex.ts";
import {
  jsonLinesSink,
  LatencyHistogram,
  meter,
  pcapngSink,
  tap,
  TapSink,
} from "../observe/mod.ts";

const MESSAGES = 1000;
const payload = new Uint8Array(64).fill(7);
const format = lengthPrefixed();

const nowhere = new TapSink({ write() {} });
const off = new TapSink({ write() {} }, { enabled: false });
const discard = () => new WritableStream<Uint8Array>({ write() {} });
const json = jsonLinesSink(discard());
const pcapng = pcapngSink(discard());
const framed = { format, codec: msgpack };

const ways: [string, (duplex: Duplex) => Duplex][] = [
  ["no tap", (duplex) => duplex],
  ["tap switched off", (duplex) => tap(duplex, nowhere, { enabled: false })],
  ["tap whose sink is off", (duplex) => tap(duplex, off)],
  ["raw tap", (duplex) => tap(duplex, nowhere)],
  ["tap of frames and messages", (duplex) => tap(duplex, nowhere, framed)],
  ["tap to JSON lines", (duplex) => tap(duplex, json, framed)],
  ["tap to pcapng, raw", (duplex) => tap(duplex, pcapng)],
  ["meter of chunks", (duplex) => meter(duplex)],
  ["meter of frames", (duplex) => meter(duplex, { format })],
];

for (const [name, wrap] of ways) {
  Deno.bench({
    name,
    group: `${MESSAGES} messages, one at a time`,
    baseline: name === "no tap",
    async fn() {
      const loop = new TransformStream<Uint8Array, Uint8Array>();
      const both = channel(wrap(loop));
      for (let n = 0; n < MESSAGES; n++) {
        both.trySend(payload);
        await both.receive();
      }
      await both.close();
      await nowhere.flush();
      await json.flush();
      await pcapng.flush();
    },
  });
}

for (const [name, wrap] of ways) {
  Deno.bench({
    name,
    group: `64 chunks of 64 KiB`,
    baseline: name === "no tap",
    async fn() {
      const pipe = wrap(new TransformStream<Uint8Array, Uint8Array>());
      const writer = pipe.writable.getWriter();
      const reader = pipe.readable.getReader();
      const chunk = new Uint8Array(65536);
      new DataView(chunk.buffer).setUint32(0, 65532);
      for (let n = 0; n < 64; n++) {
        writer.write(chunk);
        await reader.read();
      }
      await nowhere.flush();
      await json.flush();
      await pcapng.flush();
    },
  });
}

const histogram = new LatencyHistogram();
let time = 0;
Deno.bench({
  name: "a push to an array, which grows for ever",
  group: "1,000 times",
  baseline: true,
  fn() {
    const times: number[] = [];
    for (let n = 0; n < 1000; n++) times.push(time = (time + 0.37) % 100);
  },
});
Deno.bench({
  name: "LatencyHistogram.record",
  group: "1,000 times",
  fn() {
    for (let n = 0; n < 1000; n++) histogram.record(time = (time + 0.37) % 100);
  },
});
