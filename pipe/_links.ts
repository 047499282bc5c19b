// How neighbouring stages are connected.

import {
  closeDescriptor,
  createPipe,
  hasPipes,
  setPipeCapacity,
} from "../_libc/pipe.ts";
import type { Stdio } from "./_command.ts";
import type { KernelPipe } from "./_kernel_pipe.ts";
import type { Source } from "./_source.ts";
import type { StageRun } from "./_stage_run.ts";
import type { StderrMode } from "./options.ts";

/** How what comes before a stage hands over its bytes. */
export type Link =
  | { from: "null" | "inherit" | "piped" }
  | { from: "pipe"; pipe: KernelPipe; writer: StageRun }
  | { from: "source"; source: Source; input: boolean };

/** What a command has as its stdin after `link`. */
export function stdinOf(link: Link): Stdio {
  if (link.from === "pipe") return link.pipe.read;
  return link.from === "source" ? "piped" : link.from;
}

/** What a command has as its stderr. */
export function stderrOf(mode: StderrMode, stdout: Stdio): Stdio {
  if (mode === "inherit" || mode === "null") return mode;
  if (mode !== "merge") return "piped";
  return stdout === "inherit" ? 1 : stdout;
}

/** Throws where the capacity can't be had, whatever becomes of a child. */
export function checkCapacity(capacity: number): void {
  const what = `Cannot set pipeCapacity to ${capacity}`;
  if (Deno.build.os !== "linux") {
    throw new Deno.errors.NotSupported(
      `${what}: only Linux offers it, this is ${Deno.build.os}`,
    );
  }
  if (!hasPipes()) {
    throw new Deno.errors.NotCapable(
      `${what}: requires ffi access, run again with --allow-ffi`,
    );
  }
  const { read, write } = createPipe(what);
  try {
    setPipeCapacity(write, capacity);
  } finally {
    closeDescriptor(read);
    closeDescriptor(write);
  }
}
