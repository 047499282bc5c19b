// A mapped descriptor as one ArrayBuffer that can be taken away safely.

import { libc } from "../_libc/library.ts";
import { osError } from "../_libc/errno.ts";
import {
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_READ,
  PROT_WRITE,
} from "../_libc/constants.ts";

/** The most that one segment may hold: the reach of one ArrayBuffer, in bytes. */
export const MAX_SEGMENT = 2 ** 32;

/** What must be given back when the buffer is gone. */
interface Lease {
  pointer: Deno.PointerObject;
  length: number;
  fd: number;
}

/**
 * The backstop for a mapping that nobody closed. It watches the buffer and not
 * the segment object, as views keep the buffer alive. But the buffer may have
 * been transferred before, and then views of another one live, which nothing
 * here can tell. So the pages are replaced by zeros that take no memory: only
 * addresses are lost, and whoever still looks reads zeros instead of crashing.
 */
const forgotten = new FinalizationRegistry<Lease>(
  ({ pointer, length, fd }) => {
    const c = libc("unmap shared memory");
    c.mmap!(
      pointer,
      BigInt(length),
      PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
      -1,
      0n,
    );
    c.close!(fd);
  },
);

/** Maps a whole descriptor; owns it from then on, also where this throws. */
export class Mapping {
  readonly buffer: ArrayBuffer;
  readonly fd: number;
  #lease: Lease | undefined;

  constructor(fd: number, length: number, what: string) {
    const c = libc(what);
    const pointer = c.mmap!(
      null,
      BigInt(length),
      PROT_READ | PROT_WRITE,
      MAP_SHARED,
      fd,
      0n,
    );
    // MAP_FAILED is (void *) -1.
    if (
      pointer === null ||
      Deno.UnsafePointer.value(pointer) === 0xffff_ffff_ffff_ffffn
    ) {
      const error = osError(what, "mmap");
      c.close!(fd);
      throw error;
    }
    this.buffer = Deno.UnsafePointerView.getArrayBuffer(pointer, length);
    this.fd = fd;
    this.#lease = { pointer, length, fd };
    forgotten.register(this.buffer, this.#lease, this);
  }

  /** Empties every view, then unmaps. */
  close(): void {
    const lease = this.#lease;
    if (lease === undefined) return;
    this.#lease = undefined;
    forgotten.unregister(this);
    if (this.buffer.detached) {
      // Someone transferred the buffer: views of the new one may live, and
      // unmapping under them would crash. Leaking is the lesser evil.
      libc("close shared memory").close!(lease.fd);
      return;
    }
    this.buffer.transfer(0);
    const c = libc("unmap shared memory");
    c.munmap!(lease.pointer, BigInt(lease.length));
    c.close!(lease.fd);
  }
}
