// One run of a contender: a server and a client, each on a core of its own.

import { fileURLToPath } from "node:url";
import { schemes } from "../../mod.ts";
import type { Contender, Workload } from "./contenders.ts";

/** What one run found; times in microseconds, CPU in seconds of both ends. */
export interface RunResult {
  seconds: number;
  p50?: number;
  p99?: number;
  p999?: number;
  cpu: number;
  /** The larger peak of resident memory of the two, in bytes. */
  memory: number;
}

/** The command of each program, or why it is not there. */
export interface Programs {
  deno: string[];
  node?: string[];
  rust?: string[];
}

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const listenable = schemes({ listen: true });

/** Finds, and for Rust builds, what runs the peers. */
export async function findPrograms(directory: string): Promise<Programs> {
  const programs: Programs = {
    deno: [Deno.execPath(), "run", "-A", "--no-check", here("peer.ts")],
  };
  if (await succeeds("node", ["--version"])) {
    programs.node = ["node", here("peer.mjs")];
  }
  const binary = `${directory}/peer`;
  if (await succeeds("rustc", ["-O", "-o", binary, here("peer.rs")])) {
    programs.rust = [binary];
  }
  return programs;
}

/** Whether `command` is there and ends well. */
export async function succeeds(
  command: string,
  args: string[],
): Promise<boolean> {
  try {
    const { success } = await new Deno.Command(command, {
      args,
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch {
    return false;
  }
}

const canPin = navigator.hardwareConcurrency > 1 &&
  await succeeds("taskset", ["-c", "0", "true"]);

/** Puts a command on a core, where that can be done. */
export function pinned(core: number, command: string[]): string[] {
  return canPin ? ["taskset", "-c", String(core), ...command] : command;
}

/** Runs both ends of `contender` once. */
export async function runOnce(
  contender: Contender,
  workload: Workload,
  program: string[],
  directory: string,
): Promise<RunResult> {
  const { kind, scheme } = contender;
  const { type, size, count } = workload;
  const work = [type, String(size), String(count)];
  let address = scheme === "tcp"
    ? "tcp:127.0.0.1:0"
    : `${scheme}:${directory}/${crypto.randomUUID().slice(0, 8)}`;
  let server: Lines | undefined;
  if (listenable.includes(scheme)) {
    server = start(pinned(0, [...program, "server", kind, address, ...work]));
    address = (await server.find(/^ready (.+)$/))[1];
  } else {
    // The client starts the server, whose report comes through it.
    const command = pinned(0, [...program, "server", kind, "stdio:", ...work]);
    address = `exec:${command.map((word) => JSON.stringify(word)).join(" ")}`;
  }
  const client = start(
    pinned(1, [...program, "client", kind, address, ...work]),
  );
  const [near, far] = await Promise.all([
    client.find(/^(\{"role":"client".*\})$/),
    (server ?? client).find(/^(\{"role":"server".*\})$/),
  ]);
  await Promise.all([client.end(), server?.end()]);
  const ours = JSON.parse(near[1]);
  const theirs = JSON.parse(far[1]);
  return {
    ...ours,
    role: undefined,
    cpu: ours.cpu + theirs.cpu,
    memory: Math.max(ours.memory, theirs.memory),
  };
}

/** A process whose lines on standard error are looked through. */
interface Lines {
  find(pattern: RegExp): Promise<RegExpExecArray>;
  end(): Promise<void>;
}

function start([command, ...args]: string[]): Lines {
  const child = new Deno.Command(command, {
    args,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let text = "";
  let over = false;
  let changed = Promise.withResolvers<void>();
  (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) {
      text += decoder.decode(chunk, { stream: true });
      changed.resolve();
      changed = Promise.withResolvers();
    }
    over = true;
    changed.resolve();
  })();
  return {
    async find(pattern) {
      const lines = new RegExp(pattern, "m");
      for (;;) {
        // The last line may be half of one.
        const match = lines.exec(text.slice(0, text.lastIndexOf("\n") + 1));
        if (match !== null) return match;
        if (over) {
          throw new Error(`${[command, ...args].join(" ")} ended: ${text}`);
        }
        await changed.promise;
      }
    },
    async end() {
      const { success } = await child.status;
      if (!success) throw new Error(`${command} failed: ${text}`);
    },
  };
}
