import { assert, assertEquals, assertThrows } from "@std/assert";
import { SeqLock, SharedMemory, struct } from "../shm/mod.ts";
import { ConnectionClosedError } from "../duplex.ts";
import {
  firstLine,
  hasProgram,
  killPeer,
  noShm,
  peerEnd,
  random,
  spawnPeer,
  uniqueName,
} from "./_shm.ts";

const ignore = noShm;

/** C's name of each scalar. */
const C_TYPES: Record<string, string> = {
  u8: "uint8_t",
  i8: "int8_t",
  u16: "uint16_t",
  i16: "int16_t",
  u32: "uint32_t",
  i32: "int32_t",
  u64: "uint64_t",
  i64: "int64_t",
  f32: "float",
  f64: "double",
  bool: "bool",
  atomic_u32: "_Atomic uint32_t",
  atomic_i32: "_Atomic int32_t",
  atomic_u64: "_Atomic uint64_t",
  atomic_i64: "_Atomic int64_t",
};

interface Generated {
  schema: Record<string, unknown>;
  c: string;
}

/** A random schema, and the same in C. */
function generate(next: () => number, depth: number): Generated {
  const schema: Record<string, unknown> = {};
  let c = "struct {";
  const names = Object.keys(C_TYPES);
  const count = 1 + Math.floor(next() * 6);
  for (let i = 0; i < count; i++) {
    const name = `m${i}`;
    const length = 1 + Math.floor(next() * 5);
    const scalar = names[Math.floor(next() * names.length)];
    const choice = next();
    if (choice < 0.2 && depth > 0) {
      const inner = generate(next, depth - 1);
      const type = struct(inner.schema as never);
      const many = next() < 0.5;
      schema[name] = many ? [type, length] : type;
      c += `${inner.c} ${name}${many ? `[${length}]` : ""};`;
    } else if (choice < 0.4) {
      schema[name] = `char[${length}]`;
      c += `char ${name}[${length}];`;
    } else if (choice < 0.6 && !scalar.startsWith("atomic")) {
      schema[name] = [scalar, length];
      c += `${C_TYPES[scalar]} ${name}[${length}];`;
    } else {
      schema[name] = scalar;
      c += `${C_TYPES[scalar]} ${name};`;
    }
  }
  return { schema, c: `${c}}` };
}

Deno.test("struct has the sizes and offsets that a C compiler gives", {
  ignore: ignore || !hasProgram("gcc"),
}, async () => {
  const next = random(11);
  const cases = Array.from({ length: 200 }, () => generate(next, 2));
  let source = "#include <stdbool.h>\n#include <stddef.h>\n" +
    "#include <stdint.h>\n#include <stdio.h>\n";
  cases.forEach(({ c }, i) => source += `typedef ${c} t${i};\n`);
  source += "int main(void) {\n";
  cases.forEach(({ schema }, i) => {
    const names = Object.keys(schema);
    source += `printf("%zu %zu", sizeof(t${i}), _Alignof(t${i}));\n`;
    for (const name of names) {
      source += `printf(" %zu", offsetof(t${i}, ${name}));\n`;
    }
    source += `printf("\\n");\n`;
  });
  source += "return 0; }\n";
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/a.c`, source);
    const built = await new Deno.Command("gcc", {
      args: ["-std=c11", "-o", `${directory}/a`, `${directory}/a.c`],
    }).output();
    assert(built.success, new TextDecoder().decode(built.stderr));
    const { stdout } = await new Deno.Command(`${directory}/a`).output();
    const lines = new TextDecoder().decode(stdout).trim().split("\n");
    cases.forEach(({ schema, c }, i) => {
      const type = struct(schema as never);
      const ours = [
        type.size,
        type.alignment,
        ...type.fields.map(({ offset }) => offset),
      ];
      assertEquals(ours.join(" "), lines[i], c);
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

const Inner = struct({ x: "f32", tag: "char[3]" });
const Sample = struct({
  counter: "u64",
  values: ["i32", 3],
  flag: "bool",
  name: "char[8]",
  inner: Inner,
  many: [Inner, 2],
  hits: "atomic_u32",
  total: "atomic_i64",
  small: "i8",
});

Deno.test("struct values have the types of their members", () => {
  // Compiles only where the inference is right.
  const values = Sample.decode(new Uint8Array(Sample.size));
  const counter: bigint = values.counter;
  const array: Int32Array = values.values;
  const flag: boolean = values.flag;
  const name: string = values.name;
  const x: number = values.inner.x;
  const tag: string = values.many[1].tag;
  // @ts-expect-error a u64 is a bigint
  const wrong: number = values.counter;
  // @ts-expect-error there is no such member
  assertThrows(() => Sample.offsetOf("absent"), TypeError, "absent");
  assertEquals([counter, array.length, flag, name, x, tag, wrong], [
    0n,
    3,
    false,
    "",
    0,
    "",
    0n as never,
  ]);
});

Deno.test("struct.view reads and sets the memory itself", { ignore }, () => {
  using memory = SharedMemory.anonymous({ size: Sample.size });
  const view = Sample.view(memory);
  const other = Sample.view(memory);
  view.counter = 2n ** 64n - 1n;
  view.values = [1, -2, 3] as never;
  view.values[2] = 7;
  view.flag = true;
  view.name = "grüß";
  view.inner.x = 0.5;
  view.many[1].tag = "ab";
  view.small = -128;
  assertEquals(other.hits.add(5), 0);
  assertEquals(view.hits.compareExchange(5, 9), 5);
  view.total.store(-3n);
  assertEquals(Sample.decode(memory.bytes), {
    counter: 2n ** 64n - 1n,
    values: new Int32Array([1, -2, 7]),
    flag: true,
    name: "grüß",
    inner: { x: 0.5, tag: "" },
    many: [{ x: 0, tag: "" }, { x: 0, tag: "ab" }],
    hits: 9,
    total: -3n,
    small: -128,
  });
  assertEquals(view.total.and(-4n), -3n);
  assertEquals(view.total.or(1n), -4n);
  assertEquals(view.total.sub(1n), -3n);
  assertEquals(view.total.exchange(8n), -4n);
  assertEquals(view.total.load(), 8n);
  memory.close();
  assertThrows(() => view.counter, TypeError);
  assertEquals(view.values.length, 0);
});

Deno.test("struct rejects values that do not fit", { ignore }, () => {
  const bytes = new Uint8Array(Sample.size);
  const set = (values: Parameters<typeof Sample.encode>[0]) => () =>
    Sample.encode(values, bytes);
  assertThrows(set({ counter: -1n }), RangeError, "counter");
  assertThrows(set({ counter: 1 as never }), TypeError, "a bigint");
  assertThrows(set({ small: 128 }), RangeError, "from -128 to 127");
  assertThrows(set({ small: 1.5 }), RangeError, "received 1.5");
  assertThrows(set({ hits: 2 ** 32 }), RangeError, "hits");
  assertThrows(set({ flag: 1 as never }), TypeError, "a boolean");
  assertThrows(set({ name: "12345678" }), RangeError, "at most 7 bytes");
  assertThrows(set({ name: "a\0b" }), RangeError, "NUL");
  assertThrows(set({ values: [1] }), RangeError, "expected 3 elements");
  assertThrows(set({ many: [] }), RangeError, "expected 2 elements");
  assertThrows(
    () => Sample.decode(new Uint8Array(3)),
    RangeError,
    "received 3",
  );
});

Deno.test("struct rejects schemas that are none", () => {
  const make = (schema: unknown) => () => struct(schema as never);
  assertThrows(make({}), TypeError, "no members");
  assertThrows(make({ a: "u128" }), TypeError, "unknown type u128");
  assertThrows(make({ a: ["u8", 0] }), RangeError, "at least 1 element");
  assertThrows(make({ a: "char[0]" }), RangeError, "at least 1 element");
  assertThrows(make({ a: ["atomic_u32", 2] }), TypeError, "unknown type");
  assertThrows(make({ "a b": "u8" }), TypeError, "no identifier");
  assertThrows(make({ a: ["u64", 2 ** 28] }), RangeError, "exceed");
});

Deno.test("struct text ends at the member's end without NUL", () => {
  const Text = struct({ text: "char[4]", after: "u8" });
  const bytes = new TextEncoder().encode("abcdX");
  assertEquals(Text.decode(bytes).text, "abcd");
});

const Wide = struct({ words: ["u64", 64], check: "u64" });

Deno.test("SeqLock never tears under a writer in another process", {
  ignore,
}, async () => {
  using memory = SharedMemory.create(uniqueName(), {
    size: SeqLock.byteLength(Wide),
  });
  const lock = SeqLock.create(memory, Wide);
  const child = spawnPeer(
    `const Wide = shm.struct({ words: ["u64", 64], check: "u64" });
     using m = shm.SharedMemory.open(args[0]);
     const lock = shm.SeqLock.open(m, Wide);
     const words = new BigUint64Array(64);
     say("ready");
     const end = performance.now() + 1500;
     for (let i = 1n; performance.now() < end; i++) {
       words.fill(i);
       lock.write({ words, check: i });
     }`,
    [memory.name!],
  );
  assertEquals(await firstLine(child.stdout), "ready");
  const seen = new Set<bigint>();
  const end = performance.now() + 1000;
  while (performance.now() < end) {
    const { words, check } = lock.read();
    if (!words.every((word) => word === check)) {
      throw new Error(`torn: ${words} with ${check}`);
    }
    seen.add(check);
  }
  assert(seen.size > 10, `saw ${seen.size} versions`);
  assertEquals(await peerEnd(child), 0);
});

Deno.test("SeqLock says that its writer died, and the next write mends it", {
  ignore,
}, async () => {
  using memory = SharedMemory.create(uniqueName(), {
    size: SeqLock.byteLength(Wide),
  });
  const lock = SeqLock.create(memory, Wide);
  lock.write({ check: 1n });
  // What a writer killed in the middle leaves: its identity and an odd sequence.
  const child = spawnPeer(
    `globalThis.m = shm.SharedMemory.open(args[0]);
     const lock = shm.SeqLock.open(m, shm.struct({ words: ["u64", 64], check: "u64" }));
     const words = new Int32Array(m.buffer, 128, 8);
     const kill = { get words() {
       if (words[3] % 2 !== 0) Deno.kill(Deno.pid, "SIGKILL");
       return new BigUint64Array(64);
     } };
     lock.write(kill);`,
    [memory.name!],
  );
  await child.status;
  await killPeer(child);
  const error = assertThrows(() => lock.read(), ConnectionClosedError);
  assertEquals(error.code, "lost");
  lock.write({ check: 2n });
  assertEquals(lock.read().check, 2n);
  assertThrows(
    () => SeqLock.open(memory, Sample),
    Deno.errors.InvalidData,
    "its parameter 520",
  );
  lock.write({ check: 3n });
  assertThrows(() => lock.write({ check: -1n }), RangeError);
  const writer = new BigInt64Array(memory.buffer, 128 + 16, 1);
  const sequence = new Int32Array(memory.buffer, 128 + 12, 1);
  const stat = Deno.readTextFileSync("/proc/self/stat");
  const start = BigInt(stat.slice(stat.lastIndexOf(")")).split(" ")[20]);
  writer[0] = start << 32n | BigInt(Deno.pid); // as another thread's would be
  assertThrows(
    () => lock.write({ check: 4n }, { timeout: 30 }),
    DOMException,
    `Cannot write struct while process ${Deno.pid} does: timed out after 30 ms`,
  );
  sequence[0]++;
  assertThrows(() => lock.read({ timeout: 30 }), DOMException, "after 30 ms");
  sequence[0]++;
  writer[0] = 0n;
  assertEquals(lock.read().check, 3n);
});
