// Both sides of a stream count its items: if they came to different sums, credit
// would be lost and the stream would stop one day.

import { assertEquals } from "@std/assert";
import { msgpack } from "../framing/mod.ts";
import { deepCost, shallowCost } from "../rpc/_cost.ts";

let seed = 5;
function random(below: number): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor(seed / 2 ** 32 * below);
}

function value(depth: number): unknown {
  const list = () => Array.from({ length: random(40) }, () => value(depth + 1));
  switch (random(depth > 3 ? 9 : 13)) {
    case 0:
      return undefined;
    case 1:
      return null;
    case 2:
      return random(2 ** 31) - 0.5;
    case 3:
      return "ü\ud800𝄞x".repeat(random(200));
    case 4:
      return new Uint8Array(random(3_000));
    case 5:
      return new Float64Array(random(200));
    case 6:
      return new Date(random(2 ** 31));
    case 7:
      return 2n ** BigInt(random(200));
    case 8:
      return true;
    case 9:
      return list();
    case 10:
      return new Set(list());
    case 11:
      return new Map(list().map((item, at) => [`key ${at}`, item]));
    default:
      return Object.fromEntries(list().map((item, at) => [`key ${at}`, item]));
  }
}

Deno.test("an item costs its sender what it costs its receiver", () => {
  for (let round = 0; round < 60; round++) {
    const sent = value(0);
    const came = msgpack.decode(msgpack.encode(sent));
    assertEquals(deepCost(came), deepCost(sent));
  }
});

Deno.test("an item costs 1, and 1 for each whole KiB", () => {
  assertEquals(deepCost(7), 1);
  assertEquals(deepCost("x".repeat(1_023)), 1);
  assertEquals(deepCost("x".repeat(1_024)), 2);
  assertEquals(deepCost(new Uint8Array(4_096)), 5);
  assertEquals(deepCost({ a: { b: ["x".repeat(2_048)] } }), 3);
  assertEquals(deepCost(new Array(1_280).fill(1)), 11);
  assertEquals(shallowCost("x".repeat(1_024)), 2);
  assertEquals(shallowCost({ a: "x".repeat(2_048) }), 1);
});
