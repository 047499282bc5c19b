// Helpers of the shm tests: names for one test, and peers that can be killed.

import { hasLibc } from "../_libc/library.ts";

/**
 * Whether shm tests are skipped: they run on Linux. Asking opens libc here, so
 * that the sanitizer does not lay it to the first test's charge.
 */
export const noShm: boolean = Deno.build.os !== "linux" || !hasLibc();

/** A segment name that no other test has. */
export function uniqueName(): string {
  return `sluice-test-${crypto.randomUUID()}`;
}

/** The shm module as a literal for generated code. */
export const shmModule: string = JSON.stringify(
  new URL("../shm/mod.ts", import.meta.url).href,
);

/** Runs code in a second Deno process, with `shm`, `args` and `say(line)`. */
export function spawnPeer(
  code: string,
  args: string[] = [],
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--no-check",
      `import * as shm from ${shmModule};
       const args = ${JSON.stringify(args)};
       const say = (text) =>
         Deno.stdout.writeSync(new TextEncoder().encode(text + "\\n"));
       ${code}`,
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

/** Waits for the first line of a peer's output. */
export async function firstLine(
  stream: ReadableStream<Uint8Array>,
): Promise<string> {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
  }
  await reader.cancel();
  return text.split("\n")[0];
}

/** Kills a peer with SIGKILL, if it runs, and waits until it is gone. */
export async function killPeer(child: Deno.ChildProcess): Promise<void> {
  try {
    child.kill("SIGKILL");
  } catch { // it ended by itself
  }
  await child.stdin.close().catch(() => {});
  if (!child.stdout.locked) await child.stdout.cancel().catch(() => {});
  await child.status;
}

/** Waits until a peer ended by itself; its exit code. */
export async function peerEnd(child: Deno.ChildProcess): Promise<number> {
  await child.stdin.close().catch(() => {});
  if (!child.stdout.locked) await child.stdout.cancel().catch(() => {});
  return (await child.status).code;
}

/** Inodes of the anonymous segments that a process has open. */
export function openSegments(pid: number | "self" = "self"): Set<number> {
  const inodes = new Set<number>();
  for (const { name } of Deno.readDirSync(`/proc/${pid}/fd`)) {
    const path = `/proc/${pid}/fd/${name}`;
    try {
      if (Deno.readLinkSync(path).includes("memfd:sluice")) {
        inodes.add(Deno.statSync(path).ino!);
      }
    } catch { // the directory's own
    }
  }
  return inodes;
}

/**
 * Waits until this process has none of `segments` open. Those of other tests,
 * which may run at the same time, go away with them.
 */
export async function segmentsGone(segments: Set<number>): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (segments.isDisjointFrom(openSegments())) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("A segment is still open after 20 s");
}

/** A generator of numbers from 0 to 1, the same for the same seed. */
export function random(seed: number): () => number {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32;
  };
}

/** Whether a program is on the path; a test that needs it is skipped if not. */
export function hasProgram(name: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((directory) => {
    try {
      return Deno.statSync(`${directory}/${name}`).isFile;
    } catch {
      return false;
    }
  });
}
