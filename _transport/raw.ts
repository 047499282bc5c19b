// The system's socket below a connection, for what moves bytes around the
// streams: only where the bytes on it are the connection's own.

import {
  type Descriptor,
  descriptorOf,
  findInet,
  setDescriptor,
} from "../_libc/descriptor.ts";
import { hasLibc } from "../_libc/library.ts";
import { ConnectionClosedError } from "../duplex.ts";
import { ByteConnection, type ByteIo, SinkTask } from "./connection.ts";

/**
 * The descriptor that carries a connection's bytes as they are, if there is one
 * and FFI is allowed. TLS and shared memory have sockets too, for other bytes.
 */
export function rawDescriptor(connection: object): Descriptor | undefined {
  if (!(connection instanceof ByteConnection) || !hasLibc()) return undefined;
  const { local, remote } = connection;
  if (!/^(tcp|unix):/.test(remote)) return undefined;
  const known = descriptorOf(connection);
  if (known !== undefined || !remote.startsWith("tcp:")) return known;
  setDescriptor(connection, findInet(parse(local), parse(remote)));
  return descriptorOf(connection);
}

/** Where bytes go to that are copied. */
export interface Out {
  /** Whether a chunk belongs to the stream once it was written. */
  readonly keepsChunks: boolean;
  /** Takes all of `bytes`. */
  write(bytes: Uint8Array): Promise<number>;
  /** Tells of bytes that went another way. */
  progress(): void;
}

function parse(address: string): Deno.NetAddr {
  const [, bracketed, bare, port] =
    /^tcp:(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(address) ?? [];
  return {
    transport: "tcp",
    hostname: bracketed ?? bare ?? "",
    port: Number(port),
  };
}

/**
 * Runs `work` when all that was written before is sent; what is written
 * meanwhile waits. Lets go of the stream's lock at once.
 */
export async function runInTurn(
  connection: ByteConnection,
  what: string,
  work: (io: ByteIo, progress: () => void) => Promise<void>,
): Promise<void> {
  checkUnlocked(connection, what);
  const writer = connection.writable.getWriter();
  const task = new SinkTask(work) as unknown as Uint8Array;
  const done = writer.write(task);
  writer.releaseLock();
  try {
    await done;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // What a Web Stream says once it is closed.
    throw new ConnectionClosedError(
      `${what}: the connection to ${connection.remote} was closed on this side`,
      { code: "closed", cause: error },
    );
  }
}

/** Throws where somebody holds the stream's writer. */
export function checkUnlocked(
  { writable }: { writable: WritableStream },
  what: string,
): void {
  if (writable.locked) {
    throw new TypeError(
      `${what}: the connection's writable is locked, release its writer first`,
    );
  }
}

/** Writes all of `bytes`. */
export async function writeAll(
  io: { write(bytes: Uint8Array): Promise<number> },
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += await io.write(at === 0 ? bytes : bytes.subarray(at));
  }
}
