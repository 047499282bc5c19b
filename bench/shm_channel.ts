// Messages of 64 bytes through connections and channels between two processes on
// two cores: shared memory beside a Unix socket, which runs the same code. The
// ways are measured in turn; the median of some rounds counts.
//
//   deno run -A bench/shm_channel.ts [rounds]

import { fileURLToPath } from "node:url";

const rounds = Number(Deno.args[0] ?? 5);
const peer = fileURLToPath(new URL("peers/shm_channel.ts", import.meta.url));
const directory = await Deno.makeTempDir();
const TRANSPORTS = ["unix", "shm"] as const;

interface Case {
  title: string;
  roles: [string, string];
  count: number;
  show: (nanoseconds: number) => string;
}

const micros = (nanoseconds: number) => `${(nanoseconds / 1000).toFixed(1)} µs`;
const CASES: Case[] = [
  {
    title: "one way, Web Streams of a channel",
    roles: ["receive", "send"],
    count: 2_000_000,
    show: (time) => `${(1000 / time).toFixed(2)} million/s`,
  },
  {
    title: "request and answer, both busy",
    roles: ["answer", "call"],
    count: 40_000,
    show: micros,
  },
  {
    title: "request and answer, both slept",
    roles: ["answer", "nap"],
    count: 500,
    show: micros,
  },
];

async function measure(
  { roles, count }: Case,
  transport: string,
): Promise<number> {
  const path = `${directory}/${crypto.randomUUID()}.sock`;
  const outputs = await Promise.all(
    roles.map((role, core) =>
      new Deno.Command("taskset", {
        args: ["-c", String(core), Deno.execPath(), "run", "-A", "--no-check"]
          .concat(peer, role, transport, path, String(count)),
        stderr: "inherit",
      }).output()
    ),
  );
  if (outputs.some(({ success }) => !success)) throw new Error("a peer failed");
  const text = new TextDecoder();
  return Number(outputs.map(({ stdout }) => text.decode(stdout)).join(""));
}

const median = (values: number[]) =>
  values.toSorted((a, b) => a - b)[values.length >> 1];

try {
  for (const entry of CASES) {
    const times = { unix: [] as number[], shm: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      for (const transport of TRANSPORTS) {
        times[transport].push(await measure(entry, transport));
      }
    }
    const [unix, shm] = TRANSPORTS.map((name) => median(times[name]));
    console.log(
      `${entry.title.padEnd(36)} unix ${entry.show(unix).padStart(15)}   ` +
        `shm ${entry.show(shm).padStart(15)}   ` +
        `time ${(shm / unix).toFixed(2)}x`,
    );
  }
} finally {
  await Deno.remove(directory, { recursive: true });
}
