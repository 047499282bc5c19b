// The rendezvous: one message with the segment's descriptor, server to client.
//
//     0  u32  magic "SLCN"     8  u32  zero
//     4  u32  version, 1      12  u32  zero
//
// The segment holds the ring to the client, then the ring to the server.

import type { Connection } from "../duplex.ts";
import { ConnectionClosedError } from "../duplex.ts";
import { yieldTurn } from "../_async/turn.ts";
import { sleep } from "../_async/wait.ts";
import { descriptorOf } from "../_libc/descriptor.ts";
import { libc } from "../_libc/library.ts";
import { receiveWithDescriptor, sendWithDescriptor } from "../_libc/rights.ts";
import { Doorbell } from "./_doorbell.ts";
import { attachRing, formatRing, RING_HEADER } from "./_ring_layout.ts";
import { RingIo } from "./_ring_io.ts";
import { SharedMemory } from "./shared_memory.ts";

const MAGIC = 0x4e43_4c53; // "SLCN" in memory
const VERSION = 1;
const MESSAGE = 16;
/** How long the client looks without a pause, in milliseconds. */
const EAGER = 2;

/** Makes the segment and sends it. Takes over `socket`. */
export function offerSegment(socket: Connection, capacity: number): RingIo {
  const what = `Cannot offer shared memory on ${socket.local}`;
  const fd = numberOf(socket, what);
  const second = RING_HEADER + capacity;
  const memory = SharedMemory.anonymous({ size: 2 * second });
  let doorbell: Doorbell | undefined;
  try {
    const outbound = formatRing(memory, 0, capacity);
    const inbound = formatRing(memory, second, capacity);
    const message = new Uint8Array(MESSAGE);
    const view = new DataView(message.buffer);
    view.setUint32(0, MAGIC, true);
    view.setUint32(4, VERSION, true);
    doorbell = new Doorbell(socket, fd);
    // First all that reads the segment, then the peer that may spoil it.
    const io = new RingIo(memory, inbound, outbound, doorbell);
    sendWithDescriptor(fd, message, memory.fd, what);
    return io;
  } catch (error) {
    doorbell?.close();
    memory.close();
    throw error;
  }
}

/** Waits for the server's segment and checks it. Takes over `socket`. */
export async function receiveSegment(
  socket: Connection,
  signal: AbortSignal,
): Promise<RingIo> {
  const what = `Cannot connect to ${socket.remote}`;
  const fd = numberOf(socket, what);
  const descriptor = await receive(fd, what, signal).catch((error) => {
    throw silent(error);
  });
  const memory = SharedMemory.fromDescriptor(descriptor);
  let doorbell: Doorbell | undefined;
  try {
    const inbound = attachRing(memory, 0);
    const outbound = attachRing(memory, RING_HEADER + inbound.capacity);
    doorbell = new Doorbell(socket, fd);
    return new RingIo(memory, inbound, outbound, doorbell);
  } catch (error) {
    doorbell?.close();
    memory.close();
    throw error;
  }
}

/**
 * Receives before any read of the runtime's is under way, which would drop the
 * descriptor. The runtime's readiness can't be used for it, so it looks again.
 */
async function receive(
  fd: number,
  what: string,
  signal: AbortSignal,
): Promise<number> {
  const message = new Uint8Array(MESSAGE);
  const started = performance.now();
  while (true) {
    signal.throwIfAborted();
    const received = receiveOrTell(fd, message, what);
    if (received !== undefined) {
      const [descriptor, ...others] = received.descriptors;
      try {
        return checkMessage(message, received.count, descriptor, what);
      } catch (error) {
        if (descriptor !== undefined) others.push(descriptor);
        throw error;
      } finally {
        for (const other of others) libc(what).close!(other);
      }
    }
    if (performance.now() - started < EAGER) await yieldTurn();
    else await sleep(1, signal);
  }
}

function receiveOrTell(
  fd: number,
  message: Uint8Array<ArrayBuffer>,
  what: string,
): ReturnType<typeof receiveWithDescriptor> {
  try {
    return receiveWithDescriptor(fd, message, what);
  } catch (cause) { // it closed with this client in its backlog
    if (!(cause instanceof Deno.errors.ConnectionReset)) throw cause;
    throw new ConnectionClosedError(
      `${what}: the server closed the connection before its segment came`,
      { code: "lost", cause },
    );
  }
}

function checkMessage(
  message: Uint8Array<ArrayBuffer>,
  count: number,
  descriptor: number | undefined,
  what: string,
): number {
  if (count === 0) {
    throw new ConnectionClosedError(
      `${what}: the server closed the connection before its segment came`,
      { code: "ended" },
    );
  }
  const view = new DataView(message.buffer);
  if (count !== MESSAGE || view.getUint32(0, true) !== MAGIC) {
    throw new Deno.errors.InvalidData(
      `${what}: its first ${count} bytes are no rendezvous of shared memory`,
    );
  }
  const version = view.getUint32(4, true);
  if (version !== VERSION) {
    throw new Deno.errors.InvalidData(
      `${what}: rendezvous version ${version}, this program knows ${VERSION}`,
    );
  }
  if (descriptor === undefined) {
    throw new Deno.errors.InvalidData(`${what}: no descriptor came along`);
  }
  return descriptor;
}

function numberOf(socket: Connection, what: string): number {
  const descriptor = descriptorOf(socket);
  if (descriptor === undefined) {
    throw new Deno.errors.NotSupported(
      `${what}: the descriptor of the rendezvous socket is not known`,
    );
  }
  return descriptor.fd;
}

/** Who accepted and then said nothing as a rule waits for a request itself. */
function silent(error: unknown): unknown {
  return error instanceof DOMException && error.name === "TimeoutError"
    ? new DOMException(
      `${error.message}, no memory came: does the server listen on shm: or on ` +
        "unix:?",
      "TimeoutError",
    )
    : error;
}
