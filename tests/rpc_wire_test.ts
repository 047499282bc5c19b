// Plays the conversations of docs/wire.md, byte for byte.

import { assert, assertEquals } from "@std/assert";
import { lengthPrefixed, msgpack } from "../framing/mod.ts";
import { type Context, serve } from "../rpc/mod.ts";
import { duplexPair } from "./_rpc.ts";

/** The handlers that docs/wire.md speaks to. */
const handlers = {
  add: (a: number, b: number) => a + b,
  note(_text: string) {},
  fail(text: string) {
    throw Object.assign(new RangeError(`No ${text}`), { data: 7 });
  },
  whoami(this: Context) {
    return this.metadata.user;
  },
  wait: () => new Promise<never>(() => {}),
  async *count(to: number) {
    for (let n = 0; n < to; n++) yield n;
  },
  async sum(items: AsyncIterable<number>) {
    let sum = 0;
    for await (const n of items) sum += n;
    return sum;
  },
  each: async ({ onItem }: { onItem: (text: string) => Promise<string> }) =>
    await onItem("x"),
};

interface Step {
  toServer: boolean;
  message: unknown;
  /** The frame's bytes, where the page gives them. */
  hex: string | undefined;
}

/** Frames of one connection, as they come. */
class Frames {
  #decoder = lengthPrefixed().createDecoder();
  #reader: ReadableStreamDefaultReader<Uint8Array>;
  #frames: Uint8Array[] = [];

  constructor(readable: ReadableStream<Uint8Array>) {
    this.#reader = readable.getReader();
  }

  async next(): Promise<Uint8Array> {
    while (this.#frames.length === 0) {
      const { value, done } = await this.#reader.read();
      assert(!done, "the server ended the connection");
      this.#decoder.push(value, (frame) => this.#frames.push(frame.slice()));
    }
    return this.#frames.shift()!;
  }
}

function toFrame(payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(4 + payload.length);
  new DataView(frame.buffer).setUint32(0, payload.length);
  frame.set(payload, 4);
  return frame;
}

function parse(block: string): Step[] {
  const steps: Step[] = [];
  for (const line of block.trim().split("\n")) {
    if (/^[<>] /.test(line)) {
      steps.push({
        toServer: line.startsWith(">"),
        message: JSON.parse(line.slice(2)),
        hex: undefined,
      });
    } else steps.at(-1)!.hex = line.replaceAll(" ", "");
  }
  return steps;
}

const page = Deno.readTextFileSync(new URL("../docs/wire.md", import.meta.url));
const blocks = [...page.matchAll(/```wire\n([^]*?)```/g)].map(([, text]) =>
  parse(text)
);

Deno.test("docs/wire.md has conversations to play", () => {
  assert(blocks.length >= 10);
  const hex = blocks.flat().filter((step) => step.hex !== undefined);
  assert(hex.length >= 15);
});

for (const steps of blocks) {
  const name = JSON.stringify(steps[0].message);
  Deno.test(`docs/wire.md is what a server does: ${name}`, async () => {
    const [near, far] = duplexPair();
    const server = serve(far, handlers);
    const frames = new Frames(near.readable);
    const writer = near.writable.getWriter();
    for (const { toServer, message, hex } of steps) {
      if (toServer) {
        const frame = toFrame(msgpack.encode(message));
        if (hex !== undefined) assertEquals(frame.toHex(), hex);
        await writer.write(frame);
      } else {
        const payload = await frames.next();
        assertEquals(msgpack.decode(payload), message);
        if (hex !== undefined) assertEquals(toFrame(payload).toHex(), hex);
      }
    }
    near.abort();
    await server.close();
  });
}

Deno.test("docs/wire.md lists the extension types that are sent", () => {
  const sent = [new Date(0), 1n, new Map([[1, 2]]), new Set([1])];
  const types = sent.map((value) => {
    const bytes = msgpack.encode(value);
    // fixext has the type at 1, ext 8 at 2.
    return new Int8Array(bytes)[bytes[0] === 0xc7 ? 2 : 1];
  });
  assertEquals(types, [-1, 73, 77, 83]);
  for (const type of types) assert(page.includes(`| ${type} `));
});
