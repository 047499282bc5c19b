// A Connection over two pipes, one each way.

import type { Connection } from "../duplex.ts";
import { ByteConnection } from "../_transport/connection.ts";
import type { ByteStreamOptions } from "../_transport/options.ts";
import { setEnds } from "./_ends.ts";
import { ReadEnd } from "./_read_end.ts";
import { WriteEnd } from "./_write_end.ts";

/** The descriptors of a connection, and what the look for a writer read. */
export interface PipePair {
  readFd: number;
  writeFd: number;
  first?: Uint8Array;
}

/** Takes over the descriptors. */
export async function connectionOver(
  { readFd, writeFd, first }: PipePair,
  addresses: { local: string; remote: string },
  options: ByteStreamOptions,
): Promise<Connection> {
  const name = addresses.remote === "fifo:"
    ? addresses.local
    : addresses.remote;
  const source = await ReadEnd.adopt(readFd, `Cannot read from ${name}`, first);
  const sink = new WriteEnd(writeFd, `Cannot write to ${name}`);
  const connection = new ByteConnection({
    read: (into) => source.read(into),
    write: (bytes) => sink.write(bytes),
    closeWrite: () => sink.close(),
    close() {
      source.close();
      sink.close();
    },
  }, { ...options, ...addresses });
  setEnds(connection, { own: () => [source.fd, sink.fd] });
  return connection;
}
