// The writing end of a pipe to a child or a parent, for calls beside the
// runtime's own writes.

import { writeNow } from "../_libc/fifo.ts";
import { closeDescriptor } from "../_libc/pipe.ts";

/** Half of what the pipe holds: the other half may still be on its way. */
export const ONE_PIECE = 128 * 1024;

/** Owns a descriptor that has O_NONBLOCK, if there is one. */
export class PipeEnd {
  /** Takes what there is room for; nothing where the runtime has to wait. */
  readonly tryWrite?: (bytes: Uint8Array) => number;
  #fd: number | undefined;

  constructor(fd: number | undefined) {
    this.#fd = fd;
    if (fd === undefined) return;
    this.tryWrite = (bytes) => {
      if (this.#fd === undefined) return 0;
      const count = writeNow(this.#fd, bytes);
      return typeof count === "number" ? count : 0; // the runtime tells why
    };
  }

  close(): void {
    if (this.#fd !== undefined) closeDescriptor(this.#fd);
    this.#fd = undefined;
  }
}
