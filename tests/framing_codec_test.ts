import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Decoder, Encoder } from "@msgpack/msgpack";
import type { RangeCodec } from "../framing/_range_codec.ts";
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
import { forAll, type Random } from "./_random.ts";

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

const LONGS = [
  2n ** 53n,
  2n ** 53n + 1n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
  -(2n ** 53n),
  -(2n ** 53n) - 1n,
  -(2n ** 63n),
  2n ** 64n,
  -(2n ** 63n) - 1n,
  3n ** 200n,
];

Deno.test("createMsgpack with exactIntegers keeps what a number can't hold", () => {
  const exact = createMsgpack({ exactIntegers: true });
  const value = {
    longs: LONGS,
    set: new Set(LONGS),
    map: new Map(LONGS.map((each) => [each, [each]])),
    numbers: [0, -1, 2 ** 31, 2 ** 32, -(2 ** 40), 2 ** 53 - 1, 1.5, 2 ** 60],
  };
  assertEquals(roundTrip(exact, value), value);
  // A message that the library reads and writes.
  const long = { ...value, text: "x".repeat(100_000), nested: [[[LONGS]]] };
  assertEquals(roundTrip(exact, long), long);
  assertEquals(roundTrip(exact, [7n, -(2n ** 40n)]), [7, -(2 ** 40)]);
  class Point {
    id = 3n ** 100n;
    x = 2 ** 40;
  }
  assertEquals(roundTrip(exact, [new Point()]), [{ ...new Point() }]);
});

Deno.test("createMsgpack with exactIntegers speaks with other programs", () => {
  const exact = createMsgpack({ exactIntegers: true });
  const library = { useBigInt64: true };
  const within = LONGS.filter((each) =>
    BigInt.asUintN(64, each) === each || BigInt.asIntN(64, each) === each
  );
  for (const padding of ["", "x".repeat(20_000)]) { // by hand, by the library
    const there = new Encoder(library).encode([within, padding]);
    assertEquals(exact.decode(there), [within, padding]);
    const back = exact.encode([within, padding]);
    assertEquals(new Decoder(library).decode(back), [within, padding]);
    // Go writes each int64 in nine bytes: a small one is a number like any other.
    const small = new Encoder(library).encode([7n, -7n, 2n ** 40n, padding]);
    assertEquals(exact.decode(small), [7, -7, 2 ** 40, padding]);
    // No float comes where a number is whole.
    const whole = [2 ** 32, 2 ** 53 - 1, -(2 ** 31) - 1, padding];
    assertEquals(exact.encode(whole), msgpack.encode(whole));
    const keys = new Uint8Array([
      ...[0x82, 0xcf, 255, 255, 255, 255, 255, 255, 255, 255, 1],
      ...[0xa1, 0x61, ...exact.encode(padding)],
    ]);
    assertEquals(exact.decode(keys), { [`${2n ** 64n - 1n}`]: 1, a: padding });
  }
});

Deno.test("createMsgpack with exactIntegers gives back random values", () => {
  const exact = createMsgpack({ exactIntegers: true });
  forAll(500, (random) => {
    const bits = BigInt(54 + random.below(10));
    const long = (1n << bits) + BigInt(random.below(2 ** 31));
    // A small bigint comes back as a number, and is the same from then on.
    const once = roundTrip(exact, randomValue(random));
    const value = [once, long, { long: -long }];
    assertEquals(roundTrip(exact, value), value);
  });
});

Deno.test("createMsgpack with exactIntegers bounds what it looks through", () => {
  const exact = createMsgpack({ exactIntegers: true });
  const cycle: unknown[] = [1n];
  cycle.push(cycle, cycle, cycle); // 3^100 ways through
  refuses(() => exact.encode(cycle), "nested deeper than maxDepth 100");
  refuses(() => exact.encode([1n << 70_000n]), "exceeds 8192");
  forAll(2000, (random) => {
    const wire = random.bytes(random.below(300));
    if (random.below(2) === 0) wire[0] = random.pick([0x93, 0x84, 0xdc, 0xcf]);
    try {
      exact.decode(wire);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
    }
  });
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

/** The library as the codec uses it for what it does not write by hand. */
function library(value: unknown): Uint8Array {
  return new Encoder({ ignoreUndefined: true, maxDepth: 101 }).encode(value);
}

const NUMBERS = [0, 1, 31, 32, 127, 128, 255, 256, 32767, 32768, 65535, 65536]
  .concat([2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2 ** 53])
  .flatMap((value) => [value, -value, value + 1, -value - 1, value + 0.5])
  .concat([NaN, Infinity, -Infinity, Number.MIN_VALUE, 1e300, 0.1]);
const UNITS = ["a", "ß", "€", "😀", "\ud83d", "\ude00", "\ufeff", "\0", "x"];

/** A string around the lengths where its form changes. */
function randomText(random: Random): string {
  const length = random.pick([0, 1, 7, 8, 9, 15, 31, 32, 33, 49, 50, 51]) +
    random.pick([0, 0, 0, 17, 50, 100, 150, 200, 300]);
  const ascii = random.below(2) === 0;
  return Array.from(
    { length },
    () => ascii ? String.fromCharCode(random.below(128)) : random.pick(UNITS),
  ).join("");
}

/** What is written by hand, and what is not, in each other. */
function randomMix(random: Random, depth = 0): unknown {
  const size = random.pick([0, 1, 2, 3, 15, 16, 17]);
  switch (random.below(depth > 3 ? 7 : 11)) {
    case 0:
      return random.pick(NUMBERS);
    case 1:
      return random.below(2 ** 20) - 2 ** 19;
    case 2:
      return randomText(random);
    case 3:
      return random.pick([null, undefined, true, false]);
    case 4:
      return random.bytes(random.pick([0, 1, 255, 256, 300]));
    case 5:
      return new Uint16Array(random.below(4)).fill(0x1234);
    case 6:
      return random.below(10) === 0 ? "x".repeat(random.below(70_000)) : size;
    case 7:
    case 8:
      return Array.from({ length: size }, () => randomMix(random, depth + 1));
    case 9:
      return Object.assign(
        Object.create(random.pick([Object.prototype, null])),
        Object.fromEntries(
          Array.from(
            { length: size },
            () => [randomText(random), randomMix(random, depth + 1)],
          ),
        ),
      );
    default:
      return Array(random.below(4)); // holes
  }
}

Deno.test("msgpack writes what the library writes, byte for byte", () => {
  forAll(400, (random) => {
    const value = randomMix(random);
    assertEquals(msgpack.encode(value), library(value));
  });
});

Deno.test("msgpack reads what the library reads, in the middle of other bytes", () => {
  const decoder = new Decoder();
  forAll(400, (random) => {
    const wire = library(randomMix(random));
    const expected = decoder.decode(wire);
    const before = random.below(10);
    const around = new Uint8Array(before + wire.length + 10).fill(0xa3);
    around.set(wire, before);
    const codec = msgpack as RangeCodec;
    assertEquals(
      codec.decodeRange(around, before, before + wire.length),
      expected,
    );
    assertEquals(msgpack.decode(wire), expected);
  });
});

Deno.test("msgpack reads what other encoders write the long way", () => {
  for (
    const [wire, value] of [
      [[0xd9, 1, 97], "a"],
      [[0xda, 0, 1, 97], "a"],
      [[0xdb, 0, 0, 0, 1, 97], "a"],
      [[0xce, 0, 0, 0, 5], 5],
      [[0xcf, 0, 0, 0, 0, 0, 0, 0, 5], 5],
      [[0xd3, 255, 255, 255, 255, 255, 255, 255, 254], -2],
      [[0xd1, 255, 254], -2],
      [[0xca, 0x3f, 0xc0, 0, 0], 1.5],
      [[0xdc, 0, 1, 7], [7]],
      [[0xdd, 0, 0, 0, 1, 7], [7]],
      [[0xde, 0, 1, 0xd9, 1, 97, 7], { a: 7 }],
      [[0xdf, 0, 0, 0, 1, 0xa1, 97, 7], { a: 7 }],
      [[0x82, 0xa1, 97, 1, 0xa1, 97, 2], { a: 2 }],
      [[0x81, 5, 1], { 5: 1 }],
    ] as const
  ) assertEquals(msgpack.decode(new Uint8Array(wire)), value);
});

Deno.test("msgpack and the library agree on broken bytes", () => {
  const decoder = new Decoder({ maxArrayLength: 100, maxMapLength: 100 });
  const read = (decode: () => unknown) => {
    try {
      return { value: decode() };
    } catch {
      return "refused";
    }
  };
  forAll(800, (random) => {
    const wire = library(randomMix(random)).slice(0, 90);
    for (let flips = random.below(3); flips > 0 && wire.length > 0; flips--) {
      wire[random.below(wire.length)] = random.pick([
        ...[0xff, 0xc1, 0xdd, 0xdb, 0xa9, 0xf0, 0xe2, 0x80, 0xc0, 0x93],
        random.below(0xc7),
      ]);
    }
    if (wire.some((byte) => byte >= 0xc7 && byte <= 0xc9)) return; // extensions
    if (wire.some((byte) => byte >= 0xd4 && byte <= 0xd8)) return;
    assertEquals(
      read(() => msgpack.decode(wire)),
      read(() => decoder.decode(wire)),
    );
  });
});

Deno.test("msgpack encodes in a getter of what it encodes", () => {
  const value = {
    first: 1,
    get inner() {
      return msgpack.encode([1, "two"]);
    },
    last: "x",
  };
  const inner = new Uint8Array([0x92, 1, 0xa3, 0x74, 0x77, 0x6f]);
  assertEquals(roundTrip(msgpack, value), { first: 1, inner, last: "x" });
  const broken = {
    get inner() {
      throw new Error("no luck");
    },
  };
  refuses(() => msgpack.encode(broken), "no luck");
  assertEquals(roundTrip(msgpack, [1]), [1]);
});
