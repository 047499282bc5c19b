// When a peer ends its stream, also while nobody takes what came before.

import type { Connection, Duplex } from "../duplex.ts";

/** The duplex, and the moment in which its peer ends its stream. */
export function watchEnd(duplex: Duplex & Partial<Connection>): {
  watched: Duplex;
  ended: Promise<void>;
} {
  const { readable, writable } = duplex;
  const { promise, resolve } = Promise.withResolvers<void>();
  const getReader = () => {
    const reader = readable.getReader();
    reader.closed.then(async () => {
      // The channel sees the end itself first, and a frame that was cut.
      for (let turn = 0; turn < 8; turn++) await undefined;
      resolve();
    }).catch(() => {});
    return reader;
  };
  const watched = {
    readable: { getReader } as unknown as ReadableStream<Uint8Array>,
    writable,
    close: duplex.close && (() => duplex.close!()),
    closed: duplex.closed,
    abort: duplex.abort && ((reason?: unknown) => duplex.abort!(reason)),
  };
  return { watched, ended: promise };
}
