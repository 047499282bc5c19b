// What it costs to start a program by how its session is made, in a small process
// and in one that holds more: a fork copies the page tables of all that is held.
// The ways take turns; the figure is the median from `spawn` to the exit.
//
//   deno run -A bench/pipe_start.ts [rounds] [MB that the process holds]

import { spawn } from "../pipe/mod.ts";

const rounds = Number(Deno.args[0] ?? 41);
const megabytes = Number(Deno.args[1] ?? 300);

const ways = {
  "group: false": { group: false },
  "by setsid(1)": {},
  // A PATH of its own keeps setsid(1) out: the runtime forks.
  "by a fork": { env: { PATH: Deno.env.get("PATH")! } },
};

async function measure(title: string): Promise<void> {
  const times: Record<string, number[]> = {};
  for (let round = 0; round <= rounds; round++) {
    for (const [name, options] of Object.entries(ways)) {
      const start = performance.now();
      await spawn(["true"], options).result;
      if (round > 0) (times[name] ??= []).push(performance.now() - start);
    }
  }
  console.log(title);
  for (const [name, values] of Object.entries(times)) {
    const median = values.toSorted((a, b) => a - b)[values.length >> 1];
    console.log(`  ${name.padEnd(16)} ${median.toFixed(1).padStart(6)} ms`);
  }
}

await measure("one program, from a process that has just started");
const held: Uint8Array[] = [];
for (let at = 0; at < megabytes; at++) {
  held.push(new Uint8Array(1e6).fill(1)); // touched, so that it is there
}
await measure(`one program, from a process that holds ${megabytes} MB more`);
if (held.length !== megabytes) throw new Error("it was let go");
