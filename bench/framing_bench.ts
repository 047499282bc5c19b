// What framing costs apart from any transport.
//
//   deno bench -A bench/framing_bench.ts

import {
  channel,
  contentLength,
  delimited,
  encodeFrame,
  FrameDecoderStream,
  FrameEncoderStream,
  type FrameFormat,
  json,
  lengthPrefixed,
  lines,
  messagePack,
  msgpack,
  stdMsgpack,
  varint,
} from "../framing/mod.ts";

const FRAMES = 1000;

const formats: FrameFormat[] = [
  lengthPrefixed(),
  lengthPrefixed({ bytes: 8, endian: "little" }),
  varint(),
  contentLength(),
  lines(),
  delimited(new Uint8Array([1, 2])),
  messagePack(),
];

/** 64 bytes that every format can hold: one MessagePack bin without LF. */
const payload = new Uint8Array(64).fill(7);
payload.set([0xc4, 62]);

for (const [i, format] of formats.entries()) {
  const frame = encodeFrame(format, payload);
  const wire = new Uint8Array(FRAMES * frame.length);
  for (let at = 0; at < wire.length; at += frame.length) wire.set(frame, at);
  const name = i === 1 ? `${format.name}, little` : format.name;

  Deno.bench({
    name,
    group: `decode ${FRAMES} frames of 64 bytes in one chunk`,
    baseline: i === 0,
    fn() {
      let count = 0;
      format.createDecoder().push(wire, () => count++);
      if (count !== FRAMES) throw new Error(`${count} frames`);
    },
  });

  Deno.bench({
    name,
    group: `decode ${FRAMES} frames of 64 bytes in chunks of 100`,
    baseline: i === 0,
    fn() {
      let count = 0;
      const decoder = format.createDecoder();
      for (let at = 0; at < wire.length; at += 100) {
        decoder.push(wire.subarray(at, at + 100), () => count++);
      }
      if (count !== FRAMES) throw new Error(`${count} frames`);
    },
  });

  Deno.bench({
    name,
    group: `encode ${FRAMES} frames of 64 bytes into one buffer`,
    baseline: i === 0,
    fn() {
      let at = 0;
      for (let n = 0; n < FRAMES; n++) {
        format.checkPayload?.(payload);
        const header = format.headerLength(payload.length);
        format.writeHeader(wire, at, payload.length);
        wire.set(payload, at + header);
        wire.set(format.trailer, at + header + payload.length);
        at += frame.length;
      }
    },
  });
}

const message = { id: 12345, method: "compute", params: [1, 2.5, "three"] };
const list = Array.from({ length: 100 }, (_, id) => ({ ...message, id }));
for (
  const [what, value] of [["a small call", message], ["a list of 100", list]]
) {
  for (const codec of [json, msgpack, stdMsgpack]) {
    const encoded = codec.encode(value);
    const baseline = codec === json;
    Deno.bench({
      name: codec.name,
      group: `encode ${what}`,
      baseline,
      fn: () => void (codec.encodeShared ?? codec.encode).call(codec, value),
    });
    Deno.bench({
      name: codec.name,
      group: `decode ${what}`,
      baseline,
      fn: () => void codec.decode(encoded),
    });
  }
}

const group = `${FRAMES} frames of 64 bytes through streams`;
Deno.bench({
  name: "FrameEncoderStream and FrameDecoderStream",
  group,
  baseline: true,
  async fn() {
    const encoder = new FrameEncoderStream(lengthPrefixed());
    const reader = encoder.readable
      .pipeThrough(new FrameDecoderStream(lengthPrefixed())).getReader();
    const writer = encoder.writable.getWriter();
    for (let n = 0; n < FRAMES; n++) writer.write(payload);
    for (let n = 0; n < FRAMES; n++) await reader.read();
  },
});

Deno.bench({
  name: "TransformStreams of one frame each",
  group,
  async fn() {
    const format = lengthPrefixed();
    const encoder = new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) =>
        controller.enqueue(encodeFrame(format, chunk)),
    });
    const decoder = format.createDecoder();
    const reader = encoder.readable.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform: (chunk, controller) =>
          decoder.push(chunk, (frame) => controller.enqueue(frame)),
      }),
    ).getReader();
    const writer = encoder.writable.getWriter();
    for (let n = 0; n < FRAMES; n++) writer.write(payload);
    for (let n = 0; n < FRAMES; n++) await reader.read();
  },
});

Deno.bench({
  name: "channel and msgpack",
  group,
  async fn() {
    const loop = new TransformStream<Uint8Array, Uint8Array>();
    const both = channel(loop);
    for (let n = 0; n < FRAMES; n++) both.send(payload);
    for (let n = 0; n < FRAMES; n++) await both.receive();
    await both.close();
  },
});
