// An end of a pipe to a child or a parent, for calls beside the runtime's own
// reads and writes.

import { readNow, writeNow } from "../_libc/fifo.ts";
import { closeDescriptor } from "../_libc/pipe.ts";

/** Half of what the pipe holds: the other half may still be on its way. */
export const ONE_PIECE = 128 * 1024;

/** Owns a descriptor that has O_NONBLOCK, if there is one. */
export class PipeEnd {
  #fd: number | undefined;

  constructor(fd: number | undefined) {
    this.#fd = fd;
  }

  /** Whether there is a descriptor for calls. */
  get isOpen(): boolean {
    return this.#fd !== undefined;
  }

  /** Fills `into` with what is here; 0 where the runtime has to wait, or tell why. */
  tryRead(into: Uint8Array): number {
    if (this.#fd === undefined) return 0;
    const count = readNow(this.#fd, into as Uint8Array<ArrayBuffer>);
    return typeof count === "number" ? count : 0;
  }

  /** Takes what there is room for; 0 where the runtime has to wait, or tell why. */
  tryWrite(bytes: Uint8Array): number {
    if (this.#fd === undefined) return 0;
    const count = writeNow(this.#fd, bytes);
    return typeof count === "number" ? count : 0;
  }

  close(): void {
    if (this.#fd !== undefined) closeDescriptor(this.#fd);
    this.#fd = undefined;
  }
}
