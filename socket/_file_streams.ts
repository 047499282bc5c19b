// Streams over the descriptor of a regular file. The runtime opens files by path
// only, and a path may be one that this process may not open.

import { libc } from "../_libc/library.ts";
import { errno, osError } from "../_libc/errno.ts";

/** What one read takes, in bytes. */
const READ_SIZE = 64 * 1024;

export interface FileStreams {
  readable: ReadableStream<Uint8Array>;
  writable: WritableStream<Uint8Array>;
  /** Closes the descriptor, once no call on it is under way. */
  close(): void;
}

export function openFileStreams(fd: number): FileStreams {
  const lib = libc("use a descriptor");
  let busy = 0;
  let closed = false;
  let source: ReadableByteStreamController | undefined;
  let sink: WritableStreamDefaultController | undefined;
  const ended = () =>
    new Deno.errors.BadResource("Cannot use the descriptor: it was closed");
  const free = () => {
    if (closed && busy === 0) lib.close!(fd);
  };
  /** On a thread of the pool: a file system may be slow. */
  const call = async (
    name: "read" | "write",
    bytes: Uint8Array<ArrayBuffer>,
  ): Promise<number> => {
    if (closed) throw ended();
    const length = BigInt(bytes.length);
    busy++;
    let count: number;
    try {
      count = Number(
        await (name === "read" ? lib.read_async! : lib.write_async!)(
          fd,
          bytes,
          length,
        ),
      );
      // errno is right after a call on this thread only: ask again.
      if (count < 0) count = Number(lib[name]!(fd, bytes, length));
      if (count < 0) throw osError("Cannot use the descriptor", name, errno());
      return count;
    } finally {
      busy--;
      free();
    }
  };
  return {
    readable: new ReadableStream({
      type: "bytes",
      start(controller) {
        source = controller;
      },
      async pull(controller) {
        const bytes = new Uint8Array(READ_SIZE);
        const count = await call("read", bytes);
        if (closed) return;
        if (count > 0) return controller.enqueue(bytes.subarray(0, count));
        controller.close();
        controller.byobRequest?.respond(0);
      },
    }, { highWaterMark: 0 }),
    writable: new WritableStream({
      start(controller) {
        sink = controller;
      },
      async write(chunk) {
        for (let at = 0; at < chunk.length;) {
          at += await call("write", chunk.slice(at));
        }
      },
    }),
    close() {
      if (closed) return;
      closed = true;
      try {
        source?.error(ended());
      } catch { // at its end already
      }
      sink?.error(ended());
      free();
    },
  };
}
