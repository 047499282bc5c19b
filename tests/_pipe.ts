// What the tests of processes share: both ways to connect, and what is left.

import { assertEquals } from "@std/assert";
import { pipeline, type PipelineOptions, type Stage } from "../pipe/mod.ts";

/** No shell utilities there. */
export const noPosix = Deno.build.os === "windows";

/** Whether this run may call the C library: it runs a second time without. */
export const hasFfi =
  Deno.permissions.querySync({ name: "ffi" }).state === "granted";

export type Mode = NonNullable<PipelineOptions["connection"]>;

/** Kernel pipes and streams; without FFI the kernel's have to be asked for. */
export const modes: readonly Mode[] = hasFfi
  ? ["auto", "streams"]
  : Deno.build.os === "linux"
  ? ["descriptors", "auto"]
  : ["auto"];

/** How a pipeline of that mode has to be connected. */
export const connectionOf = (mode: Mode) =>
  mode === "descriptors" || (hasFfi && mode === "auto")
    ? "descriptors"
    : "streams";

/** A pipeline whose test can't hang. */
export function build(mode: Mode, ...stages: Stage[]) {
  return pipeline(...stages).with({ connection: mode, timeout: 20_000 });
}

/** Registers a test once for each way to connect. */
export function testModes(
  name: string,
  fn: (mode: Mode) => Promise<void>,
  ignore = false,
): void {
  for (const mode of modes) {
    Deno.test({
      name: `${name} (${connectionOf(mode)})`,
      ignore: noPosix || ignore,
      fn: () => fn(mode),
    });
  }
}

/** The processes that this one started and that are there, zombies included. */
export function children(): string[] {
  const found: string[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (Number(parent) === Deno.pid) found.push(`${name} ${state}`);
    } catch { // it has just ended
    }
  }
  return found;
}

/** Whether a process is there and no zombie: `cat` needs no permission. */
export function isAlive(pid: number): boolean {
  const { stdout } = new Deno.Command("cat", {
    args: [`/proc/${pid}/stat`],
    stderr: "null",
  }).outputSync();
  const stat = new TextDecoder().decode(stdout);
  return stat !== "" && !stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
}

/** Waits until `pid` is gone. */
export async function untilGone(pid: number): Promise<void> {
  for (let tries = 0; isAlive(pid) && tries < 500; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assertEquals(isAlive(pid), false, `process ${pid} is still there`);
}
