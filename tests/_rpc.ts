// Ways to connect a server and a client, for the tests of rpc/.

import type { Connection, Duplex, Listener } from "../duplex.ts";
import { ConnectionClosedError } from "../duplex.ts";
import { connectUnix, listenUnix } from "../socket/mod.ts";
import { connectShm, listenShm } from "../shm/mod.ts";
import { connectTcp, listenTcp } from "../tcp/mod.ts";
import {
  type Client,
  client,
  type ClientOptions,
  type Handlers,
  serve,
  type ServeOptions,
  type Server,
} from "../rpc/mod.ts";
import { ByteConnection } from "../_transport/connection.ts";
import { noShm } from "./_shm.ts";
import { temporaryDirectory } from "./_tools.ts";

/** A listener, and a way to connect to it. */
export interface Transport {
  name: string;
  ignore?: boolean;
  listen(): Promise<
    AsyncDisposable & { listener: Listener; connect(): Promise<Duplex> }
  >;
}

/** Bytes on their way within this process, at most 64 KiB of them. */
class Pipe {
  #chunks: Uint8Array[] = [];
  #held = 0;
  #ended = false;
  #broken = false;
  #wake: (() => void)[] = [];

  #wait(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (this.#chunks.length === 0) {
      if (this.#ended || this.#broken) return null;
      await this.#wait();
    }
    const chunk = this.#chunks[0];
    const count = Math.min(chunk.length, into.length);
    into.set(chunk.subarray(0, count));
    if (count === chunk.length) this.#chunks.shift();
    else this.#chunks[0] = chunk.subarray(count);
    this.#held -= count;
    this.#notify();
    return count;
  }

  async write(bytes: Uint8Array): Promise<number> {
    while (this.#held >= 64 * 1024 && !this.#broken) await this.#wait();
    if (this.#broken) throw new Deno.errors.BrokenPipe("Broken pipe");
    this.#chunks.push(bytes.slice());
    this.#held += bytes.length;
    this.#notify();
    return bytes.length;
  }

  end(): void {
    this.#ended = true;
    this.#notify();
  }

  break(): void {
    this.#broken = true;
    this.#notify();
  }
}

/** Two ends of one connection within this process. */
export function duplexPair(): [Connection, Connection] {
  const there = new Pipe();
  const back = new Pipe();
  const end = (name: string, input: Pipe, output: Pipe) =>
    new ByteConnection({
      read: (into) => input.read(into),
      write: (bytes) => output.write(bytes),
      closeWrite: () => output.end(),
      close() {
        input.break();
        output.end();
      },
    }, { local: `memory:${name}`, remote: "memory:" });
  return [end("near", back, there), end("far", there, back)];
}

/** A listener within this process. */
export class MemoryListener implements Listener {
  readonly address = "memory:";
  #waiting: Connection[] = [];
  #accepts: PromiseWithResolvers<Connection>[] = [];
  #closed = false;

  connect(): Promise<Connection> {
    const [near, far] = duplexPair();
    const accept = this.#accepts.shift();
    if (accept) accept.resolve(far);
    else this.#waiting.push(far);
    return Promise.resolve(near);
  }

  accept(): Promise<Connection> {
    const waiting = this.#waiting.shift();
    if (waiting) return Promise.resolve(waiting);
    const accept = Promise.withResolvers<Connection>();
    if (this.#closed) accept.reject(listenerClosed());
    else this.#accepts.push(accept);
    return accept.promise;
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const { reject } of this.#accepts.splice(0)) reject(listenerClosed());
    return Promise.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Connection> {
    while (!this.#closed) yield await this.accept();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function listenerClosed(): ConnectionClosedError {
  return new ConnectionClosedError("Cannot accept: it is closed", {
    code: "closed",
  });
}

/** What the suite over every transport runs on. */
export const transports: Transport[] = [
  {
    name: "memory:",
    listen() {
      const listener = new MemoryListener();
      return Promise.resolve({
        listener,
        connect: () => listener.connect(),
        [Symbol.asyncDispose]: () => listener.close(),
      });
    },
  },
  {
    name: "unix:",
    ignore: Deno.build.os === "windows",
    async listen() {
      const directory = await temporaryDirectory();
      const path = `${directory.path}/rpc.sock`;
      const listener = await listenUnix({ path });
      return {
        listener,
        connect: () => connectUnix({ path }),
        async [Symbol.asyncDispose]() {
          await listener.close();
          await directory[Symbol.asyncDispose]();
        },
      };
    },
  },
  {
    name: "shm:",
    ignore: noShm,
    async listen() {
      const directory = await temporaryDirectory();
      const path = `${directory.path}/rpc.sock`;
      const listener = await listenShm({ path });
      return {
        listener,
        connect: () => connectShm({ path }),
        async [Symbol.asyncDispose]() {
          await listener.close();
          await directory[Symbol.asyncDispose]();
        },
      };
    },
  },
  {
    name: "tcp:",
    async listen() {
      const listener = await listenTcp();
      return {
        listener,
        connect: () => connectTcp(listener),
        [Symbol.asyncDispose]: () => listener.close(),
      };
    },
  },
];

/** A server and a client of `handlers` on one transport, closed with the scope. */
export async function connected<T extends Handlers<T>>(
  handlers: T,
  {
    transport = transports[0],
    server: serveOptions = {},
    client: clientOptions = {},
  }: {
    transport?: Transport;
    server?: ServeOptions;
    client?: ClientOptions;
  } = {},
): Promise<
  AsyncDisposable & {
    api: Client<T>;
    server: Server;
    /** Opens another connection to the same server. */
    connect(options?: ClientOptions): Promise<Client<T>>;
    /** The same without a client over it. */
    dial(): Promise<Duplex>;
  }
> {
  const place = await transport.listen();
  const server = serve(place.listener, handlers, serveOptions);
  const clients: AsyncDisposable[] = [];
  const connect = async (options: ClientOptions = {}) => {
    const api = client<T>(await place.connect(), options);
    clients.push(api);
    return api;
  };
  return {
    api: await connect(clientOptions),
    server,
    connect,
    dial: () => place.connect(),
    async [Symbol.asyncDispose]() {
      for (const api of clients) await api[Symbol.asyncDispose]();
      await server.close();
      await place[Symbol.asyncDispose]();
    },
  };
}
