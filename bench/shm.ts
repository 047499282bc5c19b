// Two processes pinned to two cores: the package's ring against the same ring
// and an index ring in Rust. Run: deno run -A bench/shm.ts [rounds] [title]
//
// Every case runs once per round, so that all of them see the same noise; the
// table shows medians, and each Rust figure divided by ours.

import { fileURLToPath } from "node:url";
import { Ring, SharedMemory } from "../shm/mod.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

interface Case {
  title: string;
  count: number;
  size: number;
  capacity: number;
  batch: number;
  /** Roles of the two sides, in TypeScript and Rust; the second one prints. */
  roles: [string, string];
  /** The printing role in TypeScript, where it differs. */
  ours?: [string, string];
}

const K = 1024;
const CASES: Case[] = [
  {
    title: "64 B round trip",
    count: 1_000_000,
    size: 64,
    capacity: 64 * K,
    batch: 1,
    roles: ["pong", "ping"],
  },
  {
    title: "64 B one way",
    count: 10_000_000,
    size: 64,
    capacity: 256 * K,
    batch: 1,
    roles: ["send", "recv"],
  },
  {
    title: "64 B one way, batches of 64",
    count: 10_000_000,
    size: 64,
    capacity: 256 * K,
    batch: 64,
    roles: ["send", "recv"],
    ours: ["send", "recv_many"],
  },
  {
    title: "64 KiB one way",
    count: 100_000,
    size: 64 * K,
    capacity: 1024 * K,
    batch: 1,
    roles: ["send", "recv"],
  },
  {
    // Rust has no way in place to send, so its figure is copying on one side.
    title: "64 KiB one way, in place",
    count: 100_000,
    size: 64 * K,
    capacity: 1024 * K,
    batch: 1,
    roles: ["send", "recv_peek"],
    ours: ["send_peek", "recv_peek"],
  },
];

async function run(
  command: (role: string, core: number) => Deno.Command,
  roles: [string, string],
): Promise<number> {
  const peer = command(roles[0], 0).spawn();
  const result = await command(roles[1], 1).output();
  const status = await peer.status;
  if (!result.success || !status.success) throw new Error("a peer failed");
  return Number(decode(result.stdout));
}

function pinned(core: number, program: string, args: string[]): Deno.Command {
  return new Deno.Command("taskset", {
    args: ["-c", String(core), program, ...args],
    stdout: "piped",
    stderr: "inherit",
  });
}

async function measure(
  { count, size, capacity, batch }: Case,
  kind: "ts" | "commit" | "index",
  roles: [string, string],
  binary: string,
): Promise<number> {
  const name = `sluice-bench-${crypto.randomUUID()}`;
  const each = Ring.byteLength(capacity);
  using memory = SharedMemory.create(name, { size: 2 * each });
  Ring.create(memory, { capacity });
  Ring.create(memory, { capacity, offset: each });
  const numbers = [count, size, batch].map(String);
  return await run(
    (role, core) =>
      kind === "ts"
        ? pinned(core, Deno.execPath(), [
          "run",
          "-A",
          here("peers/ring.ts"),
          name,
          role,
          ...numbers,
        ])
        : pinned(core, binary, [`/dev/shm/${name}`, kind, role, ...numbers]),
    roles,
  );
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

const rounds = Number(Deno.args[0] ?? 5);
const directory = await Deno.makeTempDir();
try {
  const binary = `${directory}/ring`;
  const built = await new Deno.Command("rustc", {
    args: ["-O", "-o", binary, here("peers/ring.rs")],
  }).output();
  if (!built.success) throw new Error(decode(built.stderr));
  for (const entry of CASES) {
    if (!entry.title.includes(Deno.args[1] ?? "")) continue;
    const times = {
      ts: [] as number[],
      commit: [] as number[],
      index: [] as number[],
    };
    for (let i = 0; i < rounds; i++) {
      times.ts.push(
        await measure(entry, "ts", entry.ours ?? entry.roles, binary),
      );
      times.commit.push(await measure(entry, "commit", entry.roles, binary));
      times.index.push(await measure(entry, "index", entry.roles, binary));
    }
    const [ts, commit, index] = [times.ts, times.commit, times.index].map(
      median,
    );
    console.log(
      `${entry.title.padEnd(30)} ${ts.toFixed(1).padStart(8)} ns   ` +
        `Rust, same ring ${commit.toFixed(1).padStart(8)} ns (${
          (commit / ts).toFixed(2)
        }x)   ` +
        `Rust, index ring ${index.toFixed(1).padStart(8)} ns (${
          (index / ts).toFixed(2)
        }x)`,
    );
  }
} finally {
  await Deno.remove(directory, { recursive: true });
}
