// Opens the pipe between two commands: by a call of the kernel, or without FFI.

import {
  childStdinState,
  closeDescriptor,
  createPipe,
  hasPipes,
  setPipeCapacity,
} from "../_libc/pipe.ts";
import type { KernelPipe } from "./_kernel_pipe.ts";
import { checkReopening, ReopenedPipe } from "./_reopened_pipe.ts";

const WHAT = "Cannot connect the stages of a pipeline";

/** Whether pipes of the kernel cost nothing here: asks nobody. */
export function passesDescriptors(): boolean {
  return takesDescriptors() && hasPipes();
}

/** Throws what stands in the way of pipes of the kernel, where somebody wants them. */
export function checkDescriptors(): void {
  if (!takesDescriptors()) {
    throw new Deno.errors.NotSupported(
      `${WHAT} by descriptors: Deno 2.9 does it first, this is ` +
        Deno.version.deno,
    );
  }
  if (!hasPipes()) checkReopening(`${WHAT} by descriptors`);
}

/** Makes a pipe. What has to end with the pipeline is passed to `onTask`. */
export function openPipe(
  capacity: number | undefined,
  onTask: (task: Promise<void>) => void,
): KernelPipe {
  return hasPipes()
    ? new CalledPipe(capacity)
    : new ReopenedPipe(`${WHAT} by descriptors`, onTask);
}

/** Whether `Deno.Command` takes descriptors. */
function takesDescriptors(): boolean {
  const [major, minor] = Deno.version.deno.split(".").map(Number);
  return major > 2 || (major === 2 && minor >= 9);
}

class CalledPipe implements KernelPipe {
  readonly read: number;
  readonly write: number;

  constructor(capacity: number | undefined) {
    const ends = createPipe(WHAT);
    this.read = ends.read;
    this.write = ends.write;
    if (capacity === undefined) return;
    try {
      setPipeCapacity(this.write, capacity);
    } catch (error) {
      this.closeRead();
      this.closeWrite();
      throw error;
    }
  }

  closeRead(): void {
    closeDescriptor(this.read);
  }

  closeWrite(): void {
    closeDescriptor(this.write);
  }

  look(pid: number): "ended" | "busy" | "silent" {
    return childStdinState(pid);
  }

  release(): void {}
}
