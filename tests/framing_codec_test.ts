import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  bytes,
  type Codec,
  createMsgpack,
  FrameError,
  json,
  msgpack,
  MsgpackExtension,
  stdMsgpack,
  text,
} from "../framing/mod.ts";
import { concat, randomValue, utf8 } from "./_framing.ts";
import { forAll } from "./_random.ts";

function roundTrip(codec: Codec<unknown>, value: unknown): unknown {
  return codec.decode(codec.encode(value));
}

function refuses(act: () => unknown, message: string): void {
  const error = assertThrows(act, FrameError);
  assertEquals(error.code, "invalid");
  assertStringIncludes(error.message, message);
}

Deno.test("msgpack gives back random values", () => {
  forAll(500, (random) => {
    const value = randomValue(random);
    assertEquals(roundTrip(msgpack, value), value);
  });
});

Deno.test("msgpack keeps Map, Set, Date, bigint and bytes apart", () => {
  for (
    const value of [
      new Map<unknown, unknown>([[1, "number"], ["1", "string"], [null, []]]),
      new Map([["inner", new Map([["most", new Set([1n])]])]]),
      new Set([1, "two", new Date(3)]),
      new Date(1_700_000_000_123),
      new Date(-1),
      new Date(8.64e15),
      new Uint8Array([0, 255]),
      new Map(),
      new Set(),
    ]
  ) assertEquals(roundTrip(msgpack, value), value);
});

Deno.test("msgpack keeps every bigint", () => {
  for (let bits = 0n; bits < 200n; bits++) {
    for (const sign of [1n, -1n]) {
      for (const near of [-1n, 0n, 1n]) {
        const value = sign * (1n << bits) + near;
        assertEquals(roundTrip(msgpack, value), value);
      }
    }
  }
  assertEquals(roundTrip(msgpack, 1n << 65000n), 1n << 65000n);
  refuses(() => msgpack.encode(1n << 70000n), "exceeds 8192");
});

Deno.test("msgpack drops undefined properties and makes null of the others", () => {
  assertEquals(roundTrip(msgpack, { a: undefined, b: 1 }), { b: 1 });
  assertEquals(roundTrip(msgpack, [undefined]), [null]);
  assertEquals(roundTrip(msgpack, undefined), null);
});

Deno.test("msgpack decodes a peer's 64-bit integers as the nearest number", () => {
  const wire = new Uint8Array([0xcf, 255, 255, 255, 255, 255, 255, 255, 255]);
  assertEquals(msgpack.decode(wire), 2 ** 64);
  wire[0] = 0xd3;
  assertEquals(msgpack.decode(wire), -1);
});

Deno.test("msgpack decodes bytes as a view into the frame", () => {
  const frame = msgpack.encode(new Uint8Array([1, 2, 3]));
  const decoded = msgpack.decode(frame) as Uint8Array;
  assert(decoded.buffer === frame.buffer);
});

Deno.test("msgpack passes extension values of other types through", () => {
  const value = new MsgpackExtension(5, new Uint8Array([1, 2, 3]));
  assertEquals(roundTrip(msgpack, [value]), [value]);
  refuses(() => msgpack.encode(new MsgpackExtension(200, value.data)), "200");
});

Deno.test("msgpack results stay when the codec is used again", () => {
  const first = msgpack.encode("first");
  msgpack.encode("other");
  assertEquals(msgpack.decode(first), "first");
});

Deno.test("msgpack refuses values without a form", () => {
  refuses(
    () => msgpack.encode(() => {}),
    "Cannot encode message: MessagePack has no form for a function",
  );
  refuses(
    () => msgpack.encode(Symbol("x")),
    "Cannot encode message: MessagePack has no form for a symbol",
  );
  refuses(
    () => msgpack.decode(new Uint8Array([0x92, 1])),
    "Cannot decode message: it ends within a value",
  );
  refuses(() => msgpack.encode(new Date(NaN)), "a Date is invalid");
  refuses(() => msgpack.encode(new ArrayBuffer(3)), "its Uint8Array has");
  const cycle: unknown[] = [];
  cycle.push(cycle);
  refuses(
    () => msgpack.encode(cycle),
    "it is nested deeper than maxDepth 100, or in a cycle",
  );
  const map = new Map();
  map.set("self", map);
  refuses(() => msgpack.encode(map), "Cannot encode message");
});

Deno.test("msgpack refuses deep nesting, either way", () => {
  const deep = (depth: number) =>
    concat([new Uint8Array(depth).fill(0x91), new Uint8Array([1])]);
  msgpack.decode(deep(100));
  refuses(() => msgpack.decode(deep(101)), "nested deeper than maxDepth 100");
  refuses(() => msgpack.decode(deep(1_000_000)), "maxDepth 100");
  let value: unknown = 1;
  for (let i = 0; i < 100; i++) value = [value];
  assertEquals(roundTrip(msgpack, value), value);
  refuses(() => msgpack.encode([value]), "nested deeper than maxDepth 100");
});

Deno.test("msgpack refuses extension values within each other without end", () => {
  // A Set in a Set in a Set ..., each an array of one.
  let wire: Uint8Array = new Uint8Array([1]);
  for (let i = 0; i < 5000; i++) {
    const length = wire.length + 1;
    wire = concat([
      new Uint8Array([0xc8, length >> 8, length, 0x53, 0x91]),
      wire,
    ]);
  }
  refuses(() => msgpack.decode(wire), "nested deeper than maxDepth 100");
});

Deno.test("msgpack refuses lengths beyond its bytes without allocating", () => {
  for (const head of [0xdd, 0xdf, 0xc6, 0xdb]) {
    for (const size of [5, 500]) {
      const wire = new Uint8Array(size).fill(0xff, 0, 5);
      wire[0] = head;
      refuses(() => msgpack.decode(wire), "Cannot decode message");
    }
  }
  // 3000 arrays that promise 65535 elements each: 1.5 GB if they were made.
  const many = concat(
    Array.from({ length: 3000 }, () => new Uint8Array([0xdc, 255, 255])),
  );
  const before = Deno.memoryUsage().rss;
  refuses(
    () => createMsgpack({ maxDepth: 1024 }).decode(many),
    "Cannot decode message",
  );
  assert(Deno.memoryUsage().rss - before < 100e6);
});

Deno.test("msgpack refuses the key __proto__", () => {
  const key = utf8("__proto__");
  for (const padding of [0, 200]) {
    const wire = concat([
      new Uint8Array([0x82, 0xa9]),
      key,
      new Uint8Array([0x81, 0xa1, 0x61, 1, 0xa1, 0x62, 0xd9, padding]),
      new Uint8Array(padding).fill(65),
    ]);
    refuses(() => msgpack.decode(wire), "__proto__");
    refuses(() => stdMsgpack.decode(wire), "Cannot decode message");
  }
  assertEquals(({} as Record<string, unknown>).a, undefined);
});

Deno.test("msgpack refuses trailing and missing bytes", () => {
  for (const value of [[1, 2], "x".repeat(200)]) {
    const wire = msgpack.encode(value);
    refuses(() => msgpack.decode(wire.subarray(0, -1)), "Cannot decode");
    refuses(
      () => msgpack.decode(concat([wire, new Uint8Array(1)])),
      "Cannot decode",
    );
  }
  refuses(() => msgpack.decode(new Uint8Array()), "Cannot decode message");
});

Deno.test("msgpack and stdMsgpack survive random bytes with FrameErrors only", () => {
  forAll(3000, (random) => {
    const wire = random.bytes(random.below(300));
    if (random.below(2) === 0) wire[0] = random.pick([0x93, 0x84, 0xdc, 0xc7]);
    for (const codec of [msgpack, stdMsgpack]) {
      try {
        codec.decode(wire);
      } catch (error) {
        if (!(error instanceof FrameError)) throw error;
      }
    }
  });
});

Deno.test("createMsgpack refuses a depth out of its bounds", () => {
  assertThrows(() => createMsgpack({ maxDepth: 0 }), RangeError, "maxDepth");
});

Deno.test("stdMsgpack gives back what MessagePack can hold", () => {
  const value = { a: [1, "two", null, true], b: new Uint8Array([1]) };
  assertEquals(roundTrip(stdMsgpack, value), value);
  assertEquals(roundTrip(stdMsgpack, [2n ** 63n]), [2n ** 63n]);
  refuses(() => stdMsgpack.encode(() => {}), "Cannot encode message");
});

Deno.test("msgpack and stdMsgpack read each other", () => {
  const value = { a: [1, -70000, 1.5, "two", null, true], b: { c: "ä" } };
  assertEquals(stdMsgpack.decode(msgpack.encode(value)), value);
  assertEquals(msgpack.decode(stdMsgpack.encode(value)), value);
});

Deno.test("json gives back JSON and refuses the rest", () => {
  const value = { a: [1, "ü", null], b: "x".repeat(100_000) };
  assertEquals(roundTrip(json, value), value);
  assertEquals(json.decode(json.encodeShared!(value)), value);
  refuses(() => json.encode(undefined), "JSON has no form for undefined");
  refuses(() => json.encode(1n), "Cannot encode message");
  refuses(() => json.decode(utf8("{")), "Cannot decode message");
  refuses(() => json.decode(new Uint8Array([34, 0xff, 34])), "Cannot decode");
});

Deno.test("json keeps a __proto__ key from the prototype", () => {
  const value = json.decode(utf8('{"__proto__":{"a":1}}')) as { a?: number };
  assertEquals(value.a, undefined);
  assertEquals(Object.getPrototypeOf(value), Object.prototype);
});

Deno.test("text gives back strings, a leading U+FEFF too", () => {
  for (const value of ["", "größe 🦕", "\ufeffmark", "x".repeat(50_000)]) {
    assertEquals(text.decode(text.encode(value)), value);
    assertEquals(text.decode(text.encodeShared!(value)), value);
  }
});

Deno.test("text refuses what is no UTF-8, either way", () => {
  refuses(
    () => text.decode(new Uint8Array([0xc3, 0x28])),
    "Cannot decode message: 2 bytes are not valid UTF-8",
  );
  refuses(() => text.encode("\ud800"), "a surrogate without its pair");
  refuses(() => text.encode(1 as unknown as string), "expected a string");
});

Deno.test("bytes passes bytes as they are and nothing else", () => {
  const value = new Uint8Array([1]);
  assert(bytes.encode(value) === value);
  assert(bytes.decode(value) === value);
  refuses(() => bytes.encode([1] as unknown as Uint8Array), "a Uint8Array");
});
