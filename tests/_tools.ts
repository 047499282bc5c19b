// What many tests need: a folder of their own, peers in processes of their own.

import { fileURLToPath } from "node:url";
import { assert } from "@std/assert";

/** A fresh directory that goes away with the scope. */
export async function temporaryDirectory(): Promise<
  AsyncDisposable & { path: string }
> {
  const path = await Deno.makeTempDir({ prefix: "sluice" });
  return {
    path,
    async [Symbol.asyncDispose]() {
      await Deno.remove(path, { recursive: true });
    },
  };
}

/** A second process whose lines can be awaited; killed with the scope. */
export interface Peer extends AsyncDisposable {
  readonly process: Deno.ChildProcess;
  readonly pid: number;
  /** The next line that it prints. */
  line(): Promise<string>;
  /** Its exit status. */
  readonly status: Promise<Deno.CommandStatus>;
  /** SIGKILL, and wait until it is gone. */
  kill(): Promise<void>;
}

/** Starts `command` and reads its output by lines. */
export function startPeer(
  command: string,
  args: readonly string[],
  options: Deno.CommandOptions = {},
): Peer {
  const child = new Deno.Command(command, {
    ...options,
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout
    .pipeThrough(new TextDecoderStream() as ReadableWritablePair)
    .getReader() as ReadableStreamDefaultReader<string>;
  let text = "";
  let killed = false;
  const kill = async () => {
    if (killed) return;
    killed = true;
    try {
      child.kill("SIGKILL");
    } catch { // gone already
    }
    await reader.cancel().catch(() => {});
    await child.status;
  };
  return {
    process: child,
    pid: child.pid,
    status: child.status,
    async line() {
      for (;;) {
        const end = text.indexOf("\n");
        if (end >= 0) {
          const line = text.slice(0, end);
          text = text.slice(end + 1);
          return line;
        }
        const { value, done } = await reader.read();
        assert(!done, `the peer ended after ${JSON.stringify(text)}`);
        text += value;
      }
    },
    kill,
    [Symbol.asyncDispose]: kill,
  };
}

/** Starts a Deno program of `tests/peers/` with every permission. */
export function startDenoPeer(name: string, ...args: string[]): Peer {
  const script = fileURLToPath(new URL(`peers/${name}`, import.meta.url));
  return startPeer(Deno.execPath(), ["run", "-A", script, ...args]);
}

/** Whether `command` can be run, to skip a test by name where it can't. */
export function hasProgram(command: string): boolean {
  try {
    new Deno.Command(command, {
      args: ["--version"],
      stdout: "null",
      stderr: "null",
    }).outputSync();
    return true;
  } catch {
    return false;
  }
}

/** How many descriptors this process has open. */
export function countDescriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}
