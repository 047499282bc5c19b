// Client and server in two processes on two cores, over a Unix socket, each
// figure beside a bare framed loop of the same run:
//
//   taskset -c 0 deno run -A bench/rpc_two_processes.ts

import { bytes, type Channel, channel } from "../framing/mod.ts";
import { client } from "../rpc/mod.ts";
import { connectUnix } from "../socket/mod.ts";
import type { handlers } from "./_rpc_peer.ts";

const ROUNDS = 5;
const SEQUENTIAL = 4_000;
const PIPELINED = 40_000;
const LARGE = 3_000;
const ITEMS = 300_000;

/** A server in a process of its own, on the other core. */
async function startServer(kind: string, path: string) {
  const child = new Deno.Command("taskset", {
    args: [
      "-c",
      "1",
      Deno.execPath(),
      "run",
      "-A",
      new URL("_rpc_peer.ts", import.meta.url).pathname,
      kind,
      path,
    ],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await reader.cancel();
      await child.status;
    },
  };
}

const median = (values: number[]) =>
  values.toSorted((a, b) => a - b)[values.length >> 1];

/** Runs `act` and returns how many of `count` there were per second. */
async function rate(count: number, act: () => Promise<unknown>) {
  const start = performance.now();
  await act();
  return count / (performance.now() - start) * 1000;
}

/** `total` calls with `width` of them in flight. */
async function keepInFlight(
  total: number,
  width: number,
  call: () => Promise<unknown>,
): Promise<void> {
  let left = total;
  const one = async () => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: width }, one));
}

/** The same with frames: sends one for each that comes. */
async function pumpFrames(
  frames: Channel<Uint8Array, Uint8Array>,
  total: number,
  width: number,
  frame: Uint8Array,
): Promise<void> {
  let sent = 0;
  // Not awaited: who sends without reading may wait for ever.
  for (; sent < width; sent++) frames.send(frame);
  for (let received = 0; received < total;) {
    await frames.receive();
    do {
      received++;
      if (sent < total) {
        sent++;
        if (!frames.trySend(frame)) frames.send(frame);
      }
    } while (frames.tryReceive() !== undefined);
  }
}

const directory = await Deno.makeTempDir();
await using _bare = await startServer("bare", `${directory}/bare`);
await using _rpc = await startServer("rpc", `${directory}/rpc`);
const frames = channel<Uint8Array>(
  await connectUnix({ path: `${directory}/bare` }),
  { codec: bytes },
);
const api = client<typeof handlers>(
  await connectUnix({ path: `${directory}/rpc` }),
);

// As long as `[0, id, "add", [1, 2]]`.
const small = new Uint8Array(13);
const large = new Uint8Array(64 * 1024);

const measurements: Record<
  string,
  [() => Promise<number>, () => Promise<number>]
> = {
  "sequential add(1, 2)": [
    () =>
      rate(SEQUENTIAL, async () => {
        for (let n = 0; n < SEQUENTIAL; n++) {
          await frames.send(small);
          await frames.receive();
        }
      }),
    () =>
      rate(SEQUENTIAL, async () => {
        for (let n = 0; n < SEQUENTIAL; n++) await api.add(1, 2);
      }),
  ],
  "100 in flight": [
    () => rate(PIPELINED, () => pumpFrames(frames, PIPELINED, 100, small)),
    () =>
      rate(PIPELINED, () => keepInFlight(PIPELINED, 100, () => api.add(1, 2))),
  ],
  "64 KiB echo, 16 in flight": [
    () => rate(LARGE, () => pumpFrames(frames, LARGE, 16, large)),
    () => rate(LARGE, () => keepInFlight(LARGE, 16, () => api.echo(large))),
  ],
};

for (const [name, [bare, rpc]] of Object.entries(measurements)) {
  await bare();
  await rpc();
  const rates: [number, number][] = [];
  for (let round = 0; round < ROUNDS; round++) {
    rates.push([await bare(), await rpc()]);
  }
  const ratio = median(rates.map(([bare, rpc]) => rpc / bare));
  console.log(
    `${name}: bare ${Math.round(median(rates.map(([bare]) => bare)))}/s, ` +
      `rpc ${Math.round(median(rates.map(([, rpc]) => rpc)))}/s, ` +
      `ratio ${ratio.toFixed(2)}`,
  );
}
const streamed: number[] = [];
for (let round = 0; round <= ROUNDS; round++) {
  streamed.push(
    await rate(ITEMS, async () => {
      for await (const _ of api.count(ITEMS));
    }),
  );
}
console.log(
  `stream of small items: ${Math.round(median(streamed.slice(1)))}/s`,
);
await api.$session.close();
frames.abort();
await Deno.remove(directory, { recursive: true });
