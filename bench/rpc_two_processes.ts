// Client and server in two processes on two cores, over a Unix socket and over
// shared memory, beside
// two bare loops of the same run: `frames` moves bytes of the same length, and
// `messages` encodes and decodes the same arrays, both with the writes of one
// turn as one.
//
//   taskset -c 0 deno run -A bench/rpc_two_processes.ts

import { fileURLToPath } from "node:url";
import { bytes, type Channel, channel } from "../framing/mod.ts";
import { client } from "../rpc/mod.ts";
import { connectShm } from "../shm/mod.ts";
import { connectUnix } from "../socket/mod.ts";
import type { handlers } from "./_rpc_peer.ts";

const ROUNDS = 5;
/** The first round has to last: compiling shares the core with what is measured. */
const SEQUENTIAL = 15_000;
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
      fileURLToPath(new URL("_rpc_peer.ts", import.meta.url)),
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

/** The same with a bare channel: sends one message for each that comes. */
async function pump<T>(
  messages: Channel<T, T>,
  total: number,
  width: number,
  make: (id: number) => T,
): Promise<void> {
  let sent = 0;
  const send = () => {
    const message = make(sent++);
    // Not awaited: who sends without reading may wait for ever.
    if (!messages.trySend(message)) messages.send(message);
  };
  while (sent < width) send();
  for (let received = 0; received < total;) {
    await messages.receive();
    do {
      received++;
      if (sent < total) send();
    } while (messages.tryReceive() !== undefined);
  }
}

const directory = await Deno.makeTempDir();
await using _bare = await startServer("bare", `${directory}/bare`);
await using _messages = await startServer(
  "messages",
  `${directory}/messages`,
);
await using _rpc = await startServer("rpc", `${directory}/rpc`);
const frames = channel<Uint8Array>(
  await connectUnix({ path: `${directory}/bare` }),
  { codec: bytes },
);
const messages = channel<unknown[]>(
  await connectUnix({ path: `${directory}/messages` }),
);
await using _shared = await startServer("shm", `${directory}/shm`);
const shared = client<typeof handlers>(
  await connectShm({ path: `${directory}/shm` }),
);
const api = client<typeof handlers>(
  await connectUnix({ path: `${directory}/rpc` }),
);

// As long as `[0, id, "add", [1, 2]]`.
const small = new Uint8Array(13);
const large = new Uint8Array(64 * 1024);
const frame = () => small;
const request = (id: number): unknown[] => [0, id, "add", [1, 2]];
const add = () => api.add(1, 2);
const echo = () => api.echo(large);
const addShared = () => shared.add(1, 2);
const echoShared = () => shared.echo(large);

/** Each with what it is measured against, the first one being the call. */
const measurements: Record<string, Record<string, () => Promise<number>>> = {
  "add(1, 2), one after the other": {
    rpc: () => rate(SEQUENTIAL, () => keepInFlight(SEQUENTIAL, 1, add)),
    frames: () => rate(SEQUENTIAL, () => pump(frames, SEQUENTIAL, 1, frame)),
    messages: () =>
      rate(SEQUENTIAL, () => pump(messages, SEQUENTIAL, 1, request)),
    shm: () => rate(SEQUENTIAL, () => keepInFlight(SEQUENTIAL, 1, addShared)),
  },
  "add(1, 2), 10 in flight": {
    rpc: () => rate(SEQUENTIAL, () => keepInFlight(SEQUENTIAL, 10, add)),
    frames: () => rate(SEQUENTIAL, () => pump(frames, SEQUENTIAL, 10, frame)),
    shm: () => rate(SEQUENTIAL, () => keepInFlight(SEQUENTIAL, 10, addShared)),
  },
  "add(1, 2), 100 in flight": {
    rpc: () => rate(PIPELINED, () => keepInFlight(PIPELINED, 100, add)),
    frames: () => rate(PIPELINED, () => pump(frames, PIPELINED, 100, frame)),
    messages: () =>
      rate(PIPELINED, () => pump(messages, PIPELINED, 100, request)),
    shm: () => rate(PIPELINED, () => keepInFlight(PIPELINED, 100, addShared)),
  },
  "64 KiB echo, 16 in flight": {
    rpc: () => rate(LARGE, () => keepInFlight(LARGE, 16, echo)),
    frames: () => rate(LARGE, () => pump(frames, LARGE, 16, () => large)),
    shm: () => rate(LARGE, () => keepInFlight(LARGE, 16, echoShared)),
  },
};

for (const [name, ways] of Object.entries(measurements)) {
  const rates: Record<string, number[]> = {};
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [way, run] of Object.entries(ways)) {
      const measured = await run();
      if (round > 0) (rates[way] ??= []).push(measured); // the first warms up
    }
  }
  const { rpc, ...others } = rates;
  console.log(`${name}: ${Math.round(median(rpc))}/s`);
  for (const [way, bare] of Object.entries(others)) {
    const ratio = median(rpc.map((value, round) => value / bare[round]));
    console.log(
      way === "shm"
        ? `  over shm: ${Math.round(median(bare))}/s, ` +
          `${(1 / ratio).toFixed(2)} times as many`
        : `  bare ${way}: ${Math.round(median(bare))}/s, ` +
          `rpc has ${ratio.toFixed(2)} of it`,
    );
  }
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
await shared.$session.close();
frames.abort();
messages.abort();
await Deno.remove(directory, { recursive: true });
