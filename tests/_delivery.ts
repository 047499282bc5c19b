// What the tests of delivery need: ends over any address, and a proxy that
// treats connections as badly as it is told.

import { connect, listen, schemes } from "../address.ts";
import type { Connection, Duplex, Listener } from "../duplex.ts";
import {
  type ReliableChannel,
  reliableChannel,
  type ReliableChannelOptions,
  type ReliableListener,
  reliableListener,
  type ReliableListenerOptions,
} from "../delivery/mod.ts";
import type { Random } from "./_random.ts";

/** Every scheme that can be listened on without more options. */
export const SCHEMES = schemes({ listen: true }).filter((scheme) =>
  ["unix", "tcp", "shm"].includes(scheme)
);

/** An address that nobody has. */
export function freshAddress(scheme: string, directory: string): string {
  return scheme === "tcp"
    ? "tcp:127.0.0.1:0"
    : `${scheme}:${directory}/${crypto.randomUUID().slice(0, 8)}.sock`;
}

/** How often, of a million bytes or chunks, something happens. */
export interface Faults {
  /** The mean bytes between two cuts; each way. */
  cutEvery?: number;
  /** The chance that a chunk loses a piece, has one twice, or waits. */
  drop?: number;
  duplicate?: number;
  delay?: number;
  /** Splits chunks into pieces of at most so many bytes. */
  split?: number;
}

/** Stands between clients and `target`. */
export interface Proxy extends AsyncDisposable {
  readonly address: string;
  readonly connections: number;
  /** Ends every connection now, in the middle of whatever is on its way. */
  cut(): void;
  /** From now on nothing passes, and nothing is closed: a dead network. */
  blackHole(on: boolean): void;
  faults: Faults;
}

export async function startProxy(
  listening: string,
  target: () => string,
  random: Random,
  faults: Faults = {},
): Promise<Proxy> {
  const listener = await listen(listening);
  const open = new Set<Connection>();
  const tasks = new Set<Promise<void>>();
  let connections = 0;
  let isHole = false;
  const proxy = { faults };

  const end = (...ends: Connection[]) => {
    for (const connection of ends) {
      connection.abort(new Error("cut by the proxy"));
      open.delete(connection);
    }
  };

  const chance = (rate = 0) => random.below(1e6) < rate * 1e6;

  async function pump(from: Connection, to: Connection): Promise<void> {
    const writer = to.writable.getWriter();
    let left = Infinity;
    try {
      for await (const chunk of from.readable) {
        if (isHole) continue;
        const { cutEvery = Infinity } = proxy.faults;
        if (cutEvery === Infinity) left = Infinity;
        else if (left === Infinity) left = random.below(2 * cutEvery);
        let at = 0;
        while (at < chunk.length) {
          const { split = Infinity, drop, duplicate, delay } = proxy.faults;
          const size = split === Infinity
            ? chunk.length
            : 1 + random.below(split);
          let piece = chunk.slice(at, at + size);
          at += piece.length;
          if (piece.length > left) piece = piece.subarray(0, left);
          left -= piece.length;
          if (chance(drop)) {
            piece = piece.subarray(0, random.below(piece.length + 1));
          }
          if (chance(delay)) {
            await new Promise((resolve) =>
              setTimeout(resolve, random.below(5))
            );
          }
          await writer.write(piece);
          if (chance(duplicate)) await writer.write(piece.slice());
          if (left <= 0) return end(from, to);
        }
      }
      await writer.close();
    } catch { // cut, or left by an end
      end(from, to);
    }
  }

  const accepting = (async () => {
    for await (const client of listener) {
      connections++;
      open.add(client);
      const task = (async () => {
        let server: Connection;
        try {
          server = await connect(target());
        } catch {
          return end(client);
        }
        open.add(server);
        await Promise.all([pump(client, server), pump(server, client)]);
        end(client, server);
      })();
      tasks.add(task);
      task.then(() => tasks.delete(task));
    }
  })();

  return Object.assign(proxy, {
    address: listener.address,
    get connections() {
      return connections;
    },
    cut: () => end(...open),
    blackHole: (on: boolean) => {
      isHole = on;
    },
    async [Symbol.asyncDispose]() {
      await listener.close();
      await accepting;
      end(...open);
      await Promise.all(tasks);
    },
  });
}

/** Reconnects at once: hours of faults pass in seconds. */
export const HASTE = { minDelay: 1, maxDelay: 5, retries: 2000 };

/** Both ends of a reliable channel, with a proxy between them. */
export interface ReliablePair<T> extends AsyncDisposable {
  client: ReliableChannel<T, T>;
  server: ReliableChannel<T, T>;
  listener: ReliableListener<T, T>;
  proxy: Proxy;
}

export async function reliablePair<T>(
  scheme: string,
  directory: string,
  random: Random,
  options: {
    client?: ReliableChannelOptions<T, T>;
    server?: ReliableListenerOptions<T, T>;
    faults?: Faults;
  } = {},
): Promise<ReliablePair<T>> {
  const inner = await listen(freshAddress(scheme, directory));
  const listener = reliableListener<T>(inner, options.server);
  const proxy = await startProxy(
    freshAddress(scheme, directory),
    () => inner.address,
    random,
  );
  const client = reliableChannel<T>(
    ({ signal }) => connect(proxy.address, { signal }),
    { reconnect: HASTE, ...options.client },
  );
  const server = await listener.accept();
  proxy.faults = options.faults ?? {};
  return {
    client,
    server,
    listener,
    proxy,
    async [Symbol.asyncDispose]() {
      client.abort();
      server.abort();
      await listener.close();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

/** Two duplexes that are each other's other end. */
export function duplexPair(): [Duplex, Duplex] {
  const there = new TransformStream<Uint8Array, Uint8Array>();
  const back = new TransformStream<Uint8Array, Uint8Array>();
  return [
    { readable: back.readable, writable: there.writable },
    { readable: there.readable, writable: back.writable },
  ];
}

export type { Listener };
