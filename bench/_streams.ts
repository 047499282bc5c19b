// What the benches of transports share: ends of connections, driven by streams.

import type { Duplex } from "../duplex.ts";

/** Sends back what comes, for as long as the bench runs. */
export function echo(duplex: Duplex): void {
  duplex.readable.pipeTo(duplex.writable).catch(() => {}); // the reader tells
}

/** A function that sends a message and waits for as many bytes. */
export function roundTrip(
  duplex: Duplex,
): (message: Uint8Array) => Promise<void> {
  const writer = duplex.writable.getWriter();
  const reader = duplex.readable.getReader();
  return async (message) => {
    await writer.write(message);
    for (let count = 0; count < message.length;) {
      const { done, value } = await reader.read();
      if (done) throw new Error("the echo ended");
      count += value.length;
    }
  };
}

/** Writes `count` chunks and ends the stream. */
export async function writeAll(
  writable: WritableStream<Uint8Array>,
  chunk: Uint8Array,
  count: number,
): Promise<void> {
  const writer = writable.getWriter();
  for (let n = 0; n < count; n++) {
    await writer.ready;
    writer.write(chunk).catch(() => {}); // `close` tells
  }
  await writer.close();
}

/** Reads to the end. */
export async function readAll(
  readable: ReadableStream<Uint8Array>,
): Promise<number> {
  let length = 0;
  for await (const chunk of readable) length += chunk.length;
  return length;
}
