import type { Connection, Listener } from "../duplex.ts";
import { descriptorOf, setDescriptor } from "../_libc/descriptor.ts";
import { effectiveUser } from "../_libc/peer.ts";
import { HandshakeAcceptor, type Unshaken } from "../_transport/handshakes.ts";
import { AcceptListener } from "../_transport/listener.ts";
import { listenAs } from "../socket/_listen.ts";
import type { ListenUnixOptions } from "../socket/listen.ts";
import type { AllowPeer, PeerCredentials } from "../socket/peer.ts";
import { checkCapacity } from "./_ring_layout.ts";
import { connectionOver } from "./_connection.ts";
import { checkRuns, requireFfi } from "./_platform.ts";
import { offerSegment } from "./_handshake.ts";

/** Options of {@linkcode listenShm}. */
export interface ListenShmOptions extends ListenUnixOptions {
  /** Where the rendezvous socket is; `"@name"` is in the abstract namespace. */
  path: string;
  /**
   * Who may connect. Others are closed before they get a segment. Without it the
   * same user and root may, as the default `mode` has it; with a `mode`, who that
   * lets in; at an abstract name, the same user alone.
   */
  allow?: AllowPeer;
  /**
   * Bytes of the ring each way, a power of two from 64 to 1 GiB. Every
   * connection takes twice as much memory, from its start to its end.
   *
   * @default {262144}
   */
  capacity?: number;
}

const CAPACITY = 256 * 1024;

/**
 * Peers that have their segment before `accept` asks: so a program may connect to
 * itself, then accept. More wait in the backlog, as each costs memory.
 */
const MAX_PENDING = 4;

/**
 * Listens for connections over shared memory. A Unix socket at `path` is the
 * rendezvous: who may connect is decided there, by its mode and `allow`. Each
 * peer gets a sealed segment of its own with a ring each way. The socket stays
 * open as the doorbell of a side that sleeps, and tells when the peer dies.
 *
 * Requires `--allow-ffi`, `--allow-net`, and `--allow-read` and `--allow-write`
 * for the path's directory. Linux only.
 *
 * The peer may be hostile: what it writes into the rings is checked before use,
 * and breaks the connection where it can't be right. Bytes are copied out of
 * the segment before anything looks at them.
 *
 * @param options The path, who may connect, and the rings' capacity.
 * @returns The listener; closing it leaves accepted connections open.
 * @throws What `listenUnix` throws.
 * @throws {RangeError} If the capacity is no power of two.
 * @throws {Deno.errors.NotCapable} Without `--allow-ffi`.
 * @throws {Deno.errors.NotSupported} Where there is no `memfd_create`.
 *
 * @example One word apart from a Unix socket
 * ```ts
 * import { connectShm, listenShm } from "@sluice/ipc/shm";
 * import { assertEquals } from "@std/assert";
 *
 * const path = `${await Deno.makeTempDir()}/a.sock`;
 * await using listener = await listenShm({ path });
 * const client = await connectShm({ path }); // in another process, as a rule
 * const server = await listener.accept();
 * const writer = client.writable.getWriter();
 * await writer.write(new TextEncoder().encode("hello"));
 * await writer.close();
 * assertEquals(await new Response(server.readable as BodyInit).text(), "hello");
 * await Promise.all([client.close(), server.close()]);
 * ```
 */
export async function listenShm(options: ListenShmOptions): Promise<Listener> {
  const { path, capacity = CAPACITY } = options;
  const address = `shm:${path}`;
  checkCapacity(capacity);
  checkRuns(`listen on ${address}`);
  requireFfi(`listen on ${address}`);
  const rendezvous = await listenAs(
    { ...options, idleTimeout: undefined, allow: allowed(options) },
    address,
  );
  return new AcceptListener(
    address,
    new HandshakeAcceptor({
      async accept() {
        for (;;) {
          const connection = offer(await rendezvous.accept(), options);
          if (connection !== undefined) return shaken(connection);
        }
      },
      close: () => rendezvous.close(),
      keepAlive: (on) => rendezvous.keepAlive(on),
    }, {
      what: `Cannot accept on ${address}`,
      timeout: Infinity, // what there is to wait for is done by then
      maxPending: MAX_PENDING,
    }),
  );
}

/** By default what the mode says, checked where a file's mode can't be trusted. */
function allowed({ allow, mode, path }: ListenShmOptions) {
  if (allow !== undefined || mode !== undefined || path.startsWith("@")) {
    return allow;
  }
  const user = effectiveUser();
  return ({ uid }: PeerCredentials) => uid === user || uid === 0;
}

/** The connection over a socket, or `undefined` where the peer has left again. */
function offer(
  socket: Connection,
  { capacity = CAPACITY, ...options }: ListenShmOptions,
): Connection | undefined {
  try {
    const connection = connectionOver(offerSegment(socket, capacity), {
      ...options,
      local: `shm:${options.path}`,
      remote: "shm:",
    });
    setDescriptor(connection, descriptorOf(socket)?.fd);
    return connection;
  } catch (error) {
    socket.abort();
    if (error instanceof Deno.errors.BrokenPipe) return undefined;
    if (error instanceof Deno.errors.ConnectionReset) return undefined;
    throw error;
  }
}

function shaken(connection: Connection): Unshaken {
  return {
    handshake: () => Promise.resolve(connection),
    close: () => connection.abort(),
  };
}
