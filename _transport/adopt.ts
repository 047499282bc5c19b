// Connections and listeners from descriptors: inherited, or sent by a peer.

import type { Server, Socket } from "node:net";
import type { Connection } from "../duplex.ts";
import { yieldTurn } from "../_async/turn.ts";
import {
  F_DUPFD_CLOEXEC,
  F_GETFL,
  F_SETFL,
  O_NONBLOCK,
} from "../_libc/constants.ts";
import { setDescriptor, socketName } from "../_libc/descriptor.ts";
import { unwrap } from "../_libc/errno.ts";
import { libc } from "../_libc/library.ts";
import { ByteConnection } from "./connection.ts";
import type { Acceptor } from "./listener.ts";
import { nodeNet } from "./node_net.ts";
import { NodeSocketIo } from "./node_socket.ts";
import type { ByteStreamOptions } from "./options.ts";

/** How long `close` waits for a TCP peer's end, in ms. */
const LINGER_TIMEOUT = 250;
/** How many accepted connections may wait; then the kernel's backlog fills. */
const MAX_QUEUE = 64;

/** The address of one end of a socket, as users write it. */
export function addressOf(fd: number, end: "local" | "peer"): string {
  const name = socketName(fd, end);
  if (name === undefined) return "fd:";
  if (name.family === "unix") {
    return `unix:${name.path.replace(/^\0/, "@")}`;
  }
  const { hostname, port } = name;
  return `tcp:${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/** Takes over a descriptor: a socket, or an end of a pipe. */
export function adoptConnection(
  fd: number,
  options: ByteStreamOptions,
): ByteConnection {
  const local = addressOf(fd, "local");
  const remote = addressOf(fd, "peer");
  setNonblocking(fd);
  const { Socket } = nodeNet();
  const socket = new Socket({ fd, allowHalfOpen: true } as { fd: number });
  const connection = wrap(socket, options, local, remote);
  if (local !== "fd:") setDescriptor(connection, fd);
  return connection;
}

function wrap(
  socket: Socket,
  options: ByteStreamOptions,
  local: string,
  remote: string,
): ByteConnection {
  return new ByteConnection(new NodeSocketIo(socket), {
    ...options,
    local,
    remote,
    lingerTimeout: remote.startsWith("tcp:") ? LINGER_TIMEOUT : 0,
  });
}

/** A call on a blocking descriptor would stop the event loop. */
function setNonblocking(fd: number): void {
  const lib = libc("adopt a descriptor");
  const what = `Cannot adopt descriptor ${fd}`;
  const flags = unwrap(lib.fcntl!(fd, F_GETFL, 0n), what, "fcntl(F_GETFL)");
  const wanted = BigInt(flags | O_NONBLOCK);
  unwrap(lib.fcntl!(fd, F_SETFL, wanted), what, "fcntl(F_SETFL)");
}

/** Accepts from a listening descriptor, which it owns. */
export class AdoptedAcceptor implements Acceptor {
  readonly #fd: number;
  readonly #address: string;
  readonly #options: ByteStreamOptions;
  #server: Server | undefined;
  #queue: Socket[] = [];
  #wake: (() => void) | undefined;
  #error: unknown;
  #closed = false;

  constructor(fd: number, address: string, options: ByteStreamOptions) {
    setNonblocking(fd);
    this.#fd = fd;
    this.#address = address;
    this.#options = options;
  }

  /** The next connection and its descriptor, where that is known. */
  async accept(): Promise<Connection> {
    while (true) {
      const socket = this.#queue.shift();
      if (socket !== undefined) return this.#wrap(socket);
      if (this.#closed) throw new Deno.errors.BadResource("Listener closed");
      if (this.#error !== undefined) {
        const error = this.#error;
        this.#error = undefined;
        throw error;
      }
      if (this.#server === undefined) this.#start();
      this.keepAlive(true);
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.keepAlive(false); // it goes on listening
    }
  }

  keepAlive(on: boolean): void {
    if (on) this.#server?.ref();
    else this.#server?.unref();
  }

  /**
   * Listens on a copy of the descriptor: `node:net` accepts without being asked,
   * so the copy is closed while too many wait, and the rest stay in the backlog.
   */
  #start(): void {
    const lib = libc("accept connections");
    const fd = unwrap(
      lib.fcntl!(this.#fd, F_DUPFD_CLOEXEC, 0n),
      `Cannot accept on ${this.#address}`,
      "fcntl(F_DUPFD)",
    );
    const server = nodeNet().createServer({
      pauseOnConnect: true,
      allowHalfOpen: true,
    });
    server.on("connection", (socket) => {
      this.#queue.push(socket);
      if (this.#queue.length === MAX_QUEUE) this.#pauseLater(server);
      this.#wake?.();
    });
    server.on("error", (error) => {
      this.#error = error;
      this.#server = undefined;
      server.close();
      this.#wake?.();
    });
    server.listen({ fd });
    this.#server = server;
  }

  /**
   * The runtime accepts in batches and tells of them one by one: what it closes
   * in the middle of one is lost. So it closes in a later turn.
   */
  async #pauseLater(server: Server): Promise<void> {
    await yieldTurn();
    if (this.#server !== server || this.#queue.length < MAX_QUEUE) return;
    this.#server = undefined;
    server.close();
  }

  #wrap(socket: Socket): Connection {
    const tcp = this.#address.startsWith("tcp:");
    if (!tcp) {
      const connection = wrap(socket, this.#options, this.#address, "unix:");
      const handle = (socket as { _handle?: { fd?: number } })._handle;
      setDescriptor(connection, handle?.fd);
      return connection;
    }
    socket.setNoDelay(true);
    const host = (text = "", port = 0) =>
      `tcp:${text.includes(":") ? `[${text}]` : text}:${port}`;
    return wrap(
      socket,
      this.#options,
      host(socket.localAddress, socket.localPort),
      host(socket.remoteAddress, socket.remotePort),
    );
  }

  descriptor(): number {
    return this.#fd;
  }

  async retire(): Promise<Connection[]> {
    await yieldTurn();
    this.#stop();
    return this.#queue.splice(0).map((socket) => this.#wrap(socket));
  }

  close(): void {
    this.#stop();
    for (const socket of this.#queue.splice(0)) socket.destroy();
  }

  #stop(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#server?.close();
    this.#server = undefined;
    libc("close a listener").close!(this.#fd);
    this.#wake?.();
  }
}
