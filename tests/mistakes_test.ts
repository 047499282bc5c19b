// What a slip of a new user says: each error names the argument and what it got.

import { assertEquals, assertThrows } from "@std/assert";
import {
  channel,
  client,
  connect,
  creditChannel,
  FrameDecoderStream,
  FrameEncoderStream,
  lines,
  meter,
  serve,
  tap,
} from "../mod.ts";

const streams = () => new TransformStream<Uint8Array, Uint8Array>();
// deno-lint-ignore no-explicit-any -- what JavaScript lets through
const wrong = (value: unknown) => value as any;

const noDuplex = wrong(Promise.resolve(streams())); // a forgotten `await`
const expected = "Invalid duplex: expected readable and writable streams, " +
  "received [object Promise]";

for (
  const [name, call] of Object.entries({
    channel: () => channel(noDuplex),
    creditChannel: () => creditChannel(noDuplex),
    client: () => client(noDuplex),
    serve: () => serve(noDuplex, {}),
    tap: () => tap(noDuplex, () => {}),
    meter: () => meter(noDuplex),
  })
) {
  Deno.test(`${name} says that what it was given is no duplex`, () => {
    assertThrows(call, TypeError, expected);
  });
}

Deno.test("serve says that there are no handlers, or which is none", () => {
  assertThrows(
    () => serve(streams(), wrong(undefined)),
    TypeError,
    "Invalid handlers: expected an object of functions, received undefined",
  );
  assertThrows(
    () => serve(streams(), wrong({ fs: { read: 5 } })),
    TypeError,
    "Invalid handlers: expected fs.read to be a function or an object of " +
      "functions, received 5",
  );
});

Deno.test("formats and codecs are objects, not names or functions", () => {
  const options = [{ format: "lines" }, { format: lines }];
  const errors = options.map((option) =>
    assertThrows(() => channel(streams(), wrong(option)), TypeError).message
  );
  assertEquals(errors, [
    'Invalid format: expected a frame format such as lines(), received "lines"',
    "Invalid format: expected a frame format such as lines(), received " +
    "function lines",
  ]);
  for (const Stream of [FrameDecoderStream, FrameEncoderStream]) {
    assertThrows(() => new Stream(wrong(lines)), TypeError, "Invalid format");
  }
  assertThrows(
    () => channel(streams(), { codec: wrong("json") }),
    TypeError,
    'Invalid codec: expected a codec such as json, received "json"',
  );
});

Deno.test("connect says what retry takes", async () => {
  const error = await connect("tcp:127.0.0.1:1", { retry: wrong(5) })
    .catch((error) => error);
  assertEquals(
    String(error),
    "TypeError: Invalid retry: expected a boolean or an object, received 5",
  );
});
