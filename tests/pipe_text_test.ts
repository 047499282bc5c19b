import { assertEquals, assertThrows } from "@std/assert";
import { invalidAt, LineSplitter } from "../pipe/_text.ts";
import { Random } from "./_random.ts";

const encode = (text: string) => new TextEncoder().encode(text);

Deno.test("LineSplitter gives the same lines in whatever pieces they come", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new Random(seed);
    const parts = ["a", "", "é€😀", "\r", " ", "long ".repeat(20)];
    const lines = Array.from(
      { length: random.below(8) },
      () => parts[random.below(6)] + parts[random.below(6)],
    );
    const ended = random.below(2) === 0;
    const text = lines.join("\n") + (ended && lines.length > 0 ? "\n" : "");
    const bytes = encode(text);
    const splitter = new LineSplitter();
    const got: string[] = [];
    for (let at = 0; at < bytes.length;) {
      const end = at + 1 + random.below(12);
      got.push(...splitter.push(bytes.subarray(at, end)));
      at = end;
    }
    got.push(...splitter.push(null));
    const expected = text.split("\n");
    if (expected.at(-1) === "") expected.pop(); // there is no line after the end
    assertEquals(got, expected.map((line) => line.replace(/\r$/, "")), text);
  }
});

Deno.test("LineSplitter says how long the line is that has not ended", () => {
  const splitter = new LineSplitter();
  assertEquals(splitter.push(encode("one\ntwo")), ["one"]);
  assertEquals(splitter.pending, 3);
  assertEquals(splitter.push(encode("\n")), ["two"]);
  assertEquals(splitter.pending, 0);
});

Deno.test("LineSplitter refuses what is no UTF-8, also a character that is cut off", () => {
  assertThrows(
    () => new LineSplitter().push(new Uint8Array([0xff])),
    TypeError,
  );
  const splitter = new LineSplitter();
  splitter.push(encode("€").subarray(0, 2));
  assertThrows(() => splitter.push(null), TypeError);
});

Deno.test("invalidAt finds the first byte that is no UTF-8", () => {
  for (let at = 0; at < 20; at++) {
    const bytes = encode("aé€😀".repeat(4));
    bytes[at] = 0xff;
    let first = 0; // the character that the bad byte lies in starts here
    for (const character of "aé€😀".repeat(4)) {
      const { length } = encode(character);
      if (at < first + length) break;
      first += length;
    }
    const found = invalidAt(bytes);
    assertEquals(found >= first && found <= at, true, `${at}: ${found}`);
  }
});
