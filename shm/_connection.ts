// A connection over two rings.

import { improveRawIo } from "../_async/raw_io.ts";
import {
  ByteConnection,
  type ByteConnectionOptions,
} from "../_transport/connection.ts";
import type { RingIo } from "./_ring_io.ts";

/** Makes it. A channel on it looks at the ring itself while the peer is awake. */
export function connectionOver(
  io: RingIo,
  options: ByteConnectionOptions,
): ByteConnection {
  const connection = new ByteConnection(io, options);
  improveRawIo(connection, ({ source, sink }) => ({
    source: source && { ...source, spin: () => io.spin() },
    sink,
  }));
  return connection;
}
