// Framed round trips over a child's stdio, beside bare reads and writes of the
// same bytes: a child that only copies, in turn in one run. The median counts, and
// the fastest round, which other programs of the machine disturbed the least.
//
//   taskset -c 0 deno run -A bench/pipe_exec.ts [rounds]

import { bytes, channel } from "../framing/mod.ts";
import { connectExec } from "../pipe/mod.ts";

const ROUND_TRIPS = 1_000;
const rounds = Number(Deno.args[0] ?? 41);
/** `cat` gives back what it read: the cheapest child there is. */
const command = ["taskset", "-c", "1", "cat"];

function bare(size: number) {
  const child = new Deno.Command(command[0], {
    args: command.slice(1),
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const reader = child.stdout.getReader({ mode: "byob" });
  const message = new Uint8Array(size + 4);
  let view = new Uint8Array(Math.max(65536, size + 4));
  return {
    async trip() {
      await writer.write(message);
      let left = message.length;
      while (left > 0) {
        const { value } = await reader.read(view);
        left -= value!.length;
        view = new Uint8Array(value!.buffer);
      }
    },
    async end() {
      await writer.close();
      await reader.cancel();
      await child.status;
    },
  };
}

async function framed(size: number) {
  const connection = await connectExec({ command });
  const frames = channel<Uint8Array>(connection, { codec: bytes });
  const message = new Uint8Array(size);
  return {
    async trip() {
      await frames.send(message);
      await frames.receive();
    },
    async end() {
      await frames.close();
      await connection.close();
    },
  };
}

for (const size of [64, 4096, 65536]) {
  const ways = {
    "bare": bare(size),
    "framed, exec:": await framed(size),
  };
  const times: Record<string, number[]> = {};
  for (let round = 0; round <= rounds; round++) {
    for (const [name, { trip }] of Object.entries(ways)) {
      const start = performance.now();
      const trips = size > 10_000 ? ROUND_TRIPS / 5 : ROUND_TRIPS;
      for (let count = 0; count < trips; count++) await trip();
      const each = (performance.now() - start) * 1000 / trips;
      if (round > 0) (times[name] ??= []).push(each);
    }
  }
  for (const { end } of Object.values(ways)) await end();
  console.log(`${size} bytes there and back`);
  let base: number[] | undefined;
  for (const [name, values] of Object.entries(times)) {
    values.sort((a, b) => a - b);
    const figures = [values[values.length >> 1], values[0]];
    base ??= figures;
    const [median, fastest] = figures.map((value, index) =>
      `${value.toFixed(1).padStart(7)} µs  ` +
      `${(value / base![index]).toFixed(2)}x`
    );
    console.log(`  ${name.padEnd(16)} ${median}   fastest ${fastest}`);
  }
}
