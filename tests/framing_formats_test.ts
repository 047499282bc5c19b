import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  contentLength,
  delimited,
  encodeFrame,
  FrameError,
  type FrameFormat,
  lengthPrefixed,
  lines,
  messagePack,
  msgpack,
  varint,
} from "../framing/mod.ts";
import { concat, decodeAll, encodeAll, FORMATS, utf8 } from "./_framing.ts";
import { forAll } from "./_random.ts";

function bytes(...values: number[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(values);
}

function refuses(
  format: FrameFormat,
  input: Uint8Array,
  code: string,
  message: string,
  limits = {},
): void {
  const error = assertThrows(
    () => decodeAll(format, [input], limits),
    FrameError,
  );
  assertStringIncludes(error.message, message);
  assertEquals(error.code, code);
  // The same, byte by byte.
  const pieces = Array.from(input, (byte) => bytes(byte));
  const slow = assertThrows(
    () => decodeAll(format, pieces, limits),
    FrameError,
  );
  assertEquals(slow.code, code);
}

for (const [name, { format, payload }] of Object.entries(FORMATS)) {
  Deno.test(`${name} gives back random frames split at every point`, () => {
    forAll(12, (random) => {
      const payloads = Array.from({ length: 4 }, () => payload(random));
      const wire = encodeAll(format, payloads);
      for (let at = 0; at <= wire.length; at++) {
        const pieces = [wire.subarray(0, at), wire.subarray(at)];
        assertEquals(decodeAll(format, pieces), payloads);
      }
      const single = Array.from(wire, (byte) => bytes(byte));
      assertEquals(decodeAll(format, single), payloads);
    });
  });

  Deno.test(`${name} gives back random frames split at random points`, () => {
    forAll(60, (random) => {
      const payloads = Array.from({ length: 12 }, () => payload(random));
      const wire = encodeAll(format, payloads);
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < wire.length;) {
        const end = at + random.below(60);
        pieces.push(wire.subarray(at, end));
        at = end;
      }
      assertEquals(decodeAll(format, pieces), payloads);
    });
  });

  Deno.test(`${name} finds no whole frame and no end in a cut-off one`, () => {
    forAll(12, (random) => {
      const wire = encodeFrame(format, payload(random));
      for (let length = 1; length < wire.length; length++) {
        const error = assertThrows(
          () => decodeAll(format, [wire.subarray(0, length)]),
          FrameError,
        );
        assertEquals(error.code, "truncated");
      }
    });
  });

  Deno.test(`${name} survives random bytes with FrameErrors only`, () => {
    forAll(200, (random) => {
      const pieces = Array.from(
        { length: 6 },
        () => random.bytes(random.below(50)),
      );
      try {
        decodeAll(format, pieces, { maxFrameLength: 100 });
      } catch (error) {
        if (!(error instanceof FrameError)) throw error;
      }
    });
  });

  Deno.test(`${name} refuses frames outside the limits on both ends`, () => {
    forAll(20, (random) => {
      const long = payload(random);
      if (long.length < 2) return;
      const wire = encodeFrame(format, long);
      const tooLong = { maxFrameLength: long.length - 1 };
      const tooShort = { minFrameLength: long.length + 1 };
      const codeOf = (act: () => unknown) => assertThrows(act, FrameError).code;
      assertEquals(
        codeOf(() => decodeAll(format, [wire], tooLong)),
        "too-long",
      );
      assertEquals(
        codeOf(() => decodeAll(format, [wire], tooShort)),
        "too-short",
      );
      assertEquals(
        codeOf(() => encodeFrame(format, long, tooLong)),
        "too-long",
      );
      assertEquals(
        codeOf(() => encodeFrame(format, long, tooShort)),
        "too-short",
      );
    });
  });
}

Deno.test("lengthPrefixed writes what its options say", () => {
  const payload = bytes(9, 8);
  const frame = (options: Parameters<typeof lengthPrefixed>[0]) =>
    encodeFrame(lengthPrefixed(options), payload);
  assertEquals(frame({ bytes: 1 }), bytes(2, 9, 8));
  assertEquals(frame({ bytes: 2 }), bytes(0, 2, 9, 8));
  assertEquals(frame({}), bytes(0, 0, 0, 2, 9, 8));
  assertEquals(frame({ endian: "little" }), bytes(2, 0, 0, 0, 9, 8));
  assertEquals(frame({ includesHeader: true }), bytes(0, 0, 0, 6, 9, 8));
  assertEquals(frame({ bytes: 8 }), bytes(0, 0, 0, 0, 0, 0, 0, 2, 9, 8));
});

Deno.test("a frame within one chunk is a view into it", () => {
  const chunk = bytes(0, 0, 0, 2, 9, 8);
  lengthPrefixed().createDecoder().push(chunk, (frame) => {
    assertEquals(frame.buffer === chunk.buffer, true);
    assertEquals(frame.byteOffset, 4);
  });
});

Deno.test("lengthPrefixed refuses a 4 GiB length from its 4 bytes", () => {
  const decoder = lengthPrefixed().createDecoder();
  const error = assertThrows(
    () => decoder.push(bytes(255, 255, 255, 255), () => {}),
    FrameError,
    "Cannot decode frame: length 4294967295 exceeds maxFrameLength 16777216",
  );
  assertEquals(error.code, "too-long");
  assertEquals(decoder.buffered, 0);
});

Deno.test("lengthPrefixed names lengths above 2^53 exactly", () => {
  const format = lengthPrefixed({ bytes: 8 });
  refuses(
    format,
    bytes(0x80, 0, 0, 0, 0, 0, 0, 1),
    "too-long",
    "length 9223372036854775809 exceeds",
  );
  const little = lengthPrefixed({ bytes: 8, endian: "little" });
  refuses(
    little,
    bytes(1, 0, 0, 0, 0, 0, 32, 0),
    "too-long",
    "9007199254740993",
  );
});

Deno.test("lengthPrefixed refuses a length below its own header", () => {
  const format = lengthPrefixed({ includesHeader: true });
  refuses(
    format,
    bytes(0, 0, 0, 3),
    "malformed",
    "length 3 is less than the 4 bytes",
  );
  assertEquals(decodeAll(format, [bytes(0, 0, 0, 4)]), [bytes()]);
});

Deno.test("lengthPrefixed refuses to encode what its length can't hold", () => {
  const error = assertThrows(
    () => encodeFrame(lengthPrefixed({ bytes: 1 }), new Uint8Array(256)),
    FrameError,
    "Cannot encode frame: length 256 exceeds the 255 that lengthPrefixed(1) can hold",
  );
  assertEquals(error.code, "too-long");
  const own = lengthPrefixed({ bytes: 2, includesHeader: true });
  encodeFrame(own, new Uint8Array(65533));
  assertThrows(() => encodeFrame(own, new Uint8Array(65534)), FrameError);
});

Deno.test("lengthPrefixed refuses options that it doesn't know", () => {
  assertThrows(
    () => lengthPrefixed({ bytes: 3 as 4 }),
    TypeError,
    "received 3",
  );
  assertThrows(() => lengthPrefixed({ endian: "middle" as "big" }), TypeError);
});

Deno.test("limits that make no sense are refused", () => {
  const create = (limits: Parameters<FrameFormat["createDecoder"]>[0]) => () =>
    varint().createDecoder(limits);
  assertThrows(create({ maxFrameLength: -1 }), RangeError, "received -1");
  assertThrows(create({ maxFrameLength: Infinity }), RangeError);
  assertThrows(create({ maxFrameLength: 5, minFrameLength: 6 }), RangeError);
});

Deno.test("a truncated frame says how many bytes came of how many", () => {
  const cutOff = (format: FrameFormat, input: Uint8Array, message: string) =>
    refuses(format, input, "truncated", message);
  cutOff(lengthPrefixed(), bytes(0, 0, 0, 5, 1, 2), "after 2 of 5 bytes");
  cutOff(
    lengthPrefixed(),
    bytes(0, 0),
    "inside a header, after 2 of its 4 bytes",
  );
  cutOff(
    lengthPrefixed({ bytes: 8 }),
    bytes(0),
    "inside a header, after 1 of its 8 bytes",
  );
  cutOff(varint(), bytes(200), "inside a header, after 1 byte");
  cutOff(varint(), bytes(200, 200), "inside a header, after 2 bytes");
  cutOff(
    contentLength(),
    utf8("Content-Length: 9\r\n\r\nabc"),
    "after 3 of 9 bytes",
  );
  cutOff(lines(), utf8("one\ntwo"), "3 bytes after the last delimiter");
  cutOff(
    messagePack(),
    bytes(0x92, 1),
    "inside a MessagePack value, after 2 bytes",
  );
});

Deno.test("a decoder that threw throws the same error again", () => {
  const decoder = varint().createDecoder({ maxFrameLength: 1 });
  const first = assertThrows(() => decoder.push(bytes(2), () => {}));
  assertEquals(assertThrows(() => decoder.push(bytes(0), () => {})), first);
  assertEquals(assertThrows(() => decoder.end()), first);
});

Deno.test("frames before a malformed one are emitted", () => {
  const frames: Uint8Array[] = [];
  const decoder = varint().createDecoder({ maxFrameLength: 3 });
  assertThrows(() =>
    decoder.push(bytes(1, 7, 1, 8, 9), (frame) => frames.push(frame))
  );
  assertEquals(frames, [bytes(7), bytes(8)]);
});

Deno.test("varint is LEB128, as protobuf writes it", () => {
  const header = (length: number) => {
    const into = new Uint8Array(varint().headerLength(length));
    varint().writeHeader(into, 0, length);
    return into;
  };
  assertEquals(header(0), bytes(0));
  assertEquals(header(127), bytes(0x7f));
  assertEquals(header(128), bytes(0x80, 1));
  assertEquals(header(16384), bytes(0x80, 0x80, 1));
  assertEquals(
    header(2 ** 53 - 1),
    bytes(255, 255, 255, 255, 255, 255, 255, 15),
  );
});

Deno.test("varint refuses overlong, endless and huge lengths", () => {
  refuses(varint(), bytes(0x80, 0), "malformed", "more bytes than it needs");
  refuses(
    varint(),
    bytes(0x81, 0x80, 0),
    "malformed",
    "more bytes than it needs",
  );
  const endless = new Uint8Array(10).fill(0xff);
  refuses(varint(), endless, "malformed", "more than 10 bytes");
  const huge = concat([new Uint8Array(9).fill(0xff), bytes(1)]);
  refuses(varint(), huge, "too-long", "length 18446744073709551615 exceeds");
});

Deno.test("delimited refuses payloads that hold the delimiter", () => {
  const format = delimited(utf8("ab"));
  const error = assertThrows(
    () => encodeFrame(format, utf8("xxaby")),
    FrameError,
    "the payload holds the delimiter of delimited at byte 2",
  );
  assertEquals(error.code, "malformed");
  // "aa" + "aab" reads as "a" + "aab" + ...: the delimiter would come early.
  assertThrows(
    () => encodeFrame(delimited(utf8("aa")), utf8("xa")),
    FrameError,
  );
  encodeFrame(delimited(utf8("aab")), utf8("b"));
});

Deno.test("delimited refuses delimiters that are empty, long or no bytes", () => {
  assertThrows(() => delimited(bytes()), RangeError, "received 0");
  assertThrows(() => delimited(new Uint8Array(65)), RangeError, "received 65");
  assertThrows(() => delimited("x" as unknown as Uint8Array), TypeError);
});

Deno.test("lines takes CR LF and LF, and bare CRs stay", () => {
  assertEquals(
    decodeAll(lines(), [utf8("a\r\nb\n\r\n\na\rb\n")]),
    ["a", "b", "", "", "a\rb"].map(utf8),
  );
  assertThrows(() => encodeFrame(lines(), utf8("a\nb")), FrameError);
  assertThrows(
    () => encodeFrame(lines(), utf8("a\r")),
    FrameError,
    "ends in CR",
  );
});

Deno.test("lines takes an unterminated last line only where told so", () => {
  refuses(
    lines(),
    utf8("a\nb"),
    "truncated",
    "1 bytes after the last delimiter",
  );
  const format = lines({ allowUnterminated: true });
  assertEquals(decodeAll(format, [utf8("a\nb")]), [utf8("a"), utf8("b")]);
  assertEquals(decodeAll(format, [utf8("a\n")]), [utf8("a")]);
});

Deno.test("lines refuses a line without end once it exceeds the limit", () => {
  const decoder = lines().createDecoder({ maxFrameLength: 100 });
  decoder.push(new Uint8Array(101), () => {}); // the last byte may be the CR
  const error = assertThrows(
    () => decoder.push(new Uint8Array(1), () => {}),
    FrameError,
    "102 bytes without a delimiter exceed maxFrameLength 100",
  );
  assertEquals(error.code, "too-long");
});

Deno.test("lines takes a line of the limit with CR LF", () => {
  const line = new Uint8Array(100).fill(65);
  const wire = concat([line, utf8("\r\n")]);
  for (let at = 0; at < wire.length; at++) {
    assertEquals(
      decodeAll(lines(), [wire.subarray(0, at), wire.subarray(at)], {
        maxFrameLength: 100,
      }),
      [line],
    );
  }
});

Deno.test("contentLength ignores other headers and case", () => {
  const head = "Content-Type: application/vscode-jsonrpc; charset=utf-8\r\n" +
    "CONTENT-length:\t2 \r\nX: \r\n\r\n";
  assertEquals(decodeAll(contentLength(), [utf8(head + "{}")]), [utf8("{}")]);
});

Deno.test("contentLength refuses headers that tell no length", () => {
  const bad = (head: string, message: string, code = "malformed") =>
    refuses(contentLength(), utf8(head), code, message);
  bad("X: 1\r\n\r\n", "it has no Content-Length");
  bad("\r\n", "it has no Content-Length");
  bad("Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "two Content-Lengths");
  bad(
    "Content-Length: -1\r\n\r\n",
    'Content-Length " -1" is no decimal number',
  );
  for (const value of ["+1", "1.0", "0x10", "1e3", "1 2", "", "１"]) {
    bad(`Content-Length: ${value}\r\n\r\n`, "is no decimal number");
  }
  bad(
    "Content-Length: 99999999999999999999\r\n\r\n",
    "99999999999999999999",
    "too-long",
  );
  bad(`Content-Length: ${"9".repeat(400)}\r\n\r\n`, "9…", "too-long");
  bad("Content-Length: 1\n\n", "LF without CR");
  bad("nonsense\r\n\r\n", 'header line "nonsense" is no "Name: value"');
  bad(": 1\r\n\r\n", "is no");
  bad(`X: ${"y".repeat(5000)}`, "its header exceeds maxHeaderLength 4096");
});

Deno.test("messagePack takes every type's shortest and longest form", () => {
  const heads: [number[], number][] = [
    [[0xc4, 1], 1],
    [[0xc5, 0, 1], 1],
    [[0xc6, 0, 0, 0, 1], 1],
    [[0xc7, 1], 2],
    [[0xc8, 0, 1], 2],
    [[0xc9, 0, 0, 0, 1], 2],
    [[0xca], 4],
    [[0xcb], 8],
    [[0xcc], 1],
    [[0xcd], 2],
    [[0xce], 4],
    [[0xcf], 8],
    [[0xd0], 1],
    [[0xd1], 2],
    [[0xd2], 4],
    [[0xd3], 8],
    [[0xd4], 2],
    [[0xd5], 3],
    [[0xd6], 5],
    [[0xd7], 9],
    [[0xd8], 17],
    [[0xd9, 1], 1],
    [[0xda, 0, 1], 1],
    [[0xdb, 0, 0, 0, 1], 1],
    [[0xdc, 0, 1], 1],
    [[0xdd, 0, 0, 0, 1], 1],
    [[0xde, 0, 1], 2],
    [[0xdf, 0, 0, 0, 1], 2],
    [[0xa3], 3],
    [[0x93], 3],
    [[0x82], 4],
    ...[0x00, 0x7f, 0x80, 0x90, 0xa0, 0xc0, 0xc2, 0xc3, 0xe0, 0xff].map((
      head,
    ): [number[], number] => [[head], 0]),
  ];
  const values = heads.map(([head, rest]) =>
    concat([new Uint8Array(head), new Uint8Array(rest)])
  );
  const wire = concat(values);
  assertEquals(decodeAll(messagePack(), [wire]), values);
  assertEquals(
    decodeAll(messagePack(), Array.from(wire, (byte) => bytes(byte))),
    values,
  );
});

Deno.test("messagePack refuses what can't fit from its header", () => {
  const format = messagePack();
  refuses(
    format,
    bytes(0xdd, 255, 255, 255, 255),
    "too-long",
    "at least 4294967300 bytes",
  );
  refuses(
    format,
    bytes(0xdf, 255, 255, 255, 255),
    "too-long",
    "maxFrameLength",
  );
  refuses(
    format,
    bytes(0xc6, 255, 255, 255, 255),
    "too-long",
    "maxFrameLength",
  );
  // Arrays within arrays that promise more together than each alone.
  const many = concat(Array.from({ length: 20 }, () => bytes(0xdc, 255, 255)));
  refuses(format, many, "too-long", "maxFrameLength 1000000", {
    maxFrameLength: 1_000_000,
  });
  refuses(format, bytes(0xc1), "malformed", "0xc1 begins no MessagePack value");
});

Deno.test("messagePack refuses deep nesting without recursion", () => {
  const deep = new Uint8Array(100_000).fill(0x91);
  refuses(
    messagePack(),
    deep.subarray(0, 200),
    "malformed",
    "nested deeper than maxDepth 100",
  );
  assertThrows(
    () => decodeAll(messagePack({ maxDepth: 1024 }), [deep]),
    FrameError,
  );
});

Deno.test("messagePack encodes exactly one value", () => {
  encodeFrame(messagePack(), msgpack.encode({ a: [1, "two", { three: 3 }] }));
  for (const payload of [bytes(), bytes(1, 2), bytes(0x91), bytes(0xc1)]) {
    assertThrows(
      () => encodeFrame(messagePack(), payload),
      FrameError,
      "not exactly one MessagePack value",
    );
  }
});

Deno.test("formats refuse options out of their bounds", () => {
  assertThrows(() => messagePack({ maxDepth: 0 }), RangeError, "maxDepth");
  assertThrows(() => messagePack({ maxDepth: 2000 }), RangeError, "2000");
  assertThrows(() => contentLength({ maxHeaderLength: 31 }), RangeError, "31");
});

Deno.test("contentLength takes headers up to maxHeaderLength", () => {
  const format = contentLength({ maxHeaderLength: 32 });
  const head = "X:1\r\nContent-Length: 10000\r\n\r\n"; // 30 bytes
  const payload = new Uint8Array(10_000);
  assertEquals(decodeAll(format, [utf8(head), payload]), [payload]);
  refuses(
    format,
    utf8(`XXX${head}`),
    "malformed",
    "exceeds maxHeaderLength 32",
  );
});

Deno.test("a decoder refuses what is no Uint8Array", () => {
  const decoder = varint().createDecoder();
  assertThrows(
    () => decoder.push("text" as unknown as Uint8Array, () => {}),
    TypeError,
    'expected a Uint8Array, received "text"',
  );
});

Deno.test("a large frame is whole whatever pieces it comes in", () => {
  forAll(10, (random) => {
    const payload = random.bytes(200_000 + random.below(100_000));
    const wire = encodeFrame(lengthPrefixed(), payload);
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < wire.length;) {
      const end = at + 1 + random.below(random.pick([10, 1000, 70_000]));
      // Some own their buffer, as a transport's chunks do; some are small views.
      const piece = wire.subarray(at, end);
      pieces.push(random.below(2) === 0 ? piece.slice() : piece);
      at = end;
    }
    assertEquals(decodeAll(lengthPrefixed(), pieces), [payload]);
  });
});
