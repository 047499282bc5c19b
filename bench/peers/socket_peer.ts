// One end of the measurements of socket_throughput.ts: a way and the bare loop
// have a connection each between the same two processes, and take turns, so that
// both meet the same machine.
//
// usage: socket_peer.ts ROLE WAY DIRECTORY MIB
//   ROLE  receive (listens; prints the way's median as JSON), send
//   WAY   bare (conn.read, conn.write), fresh (as bare, with a new buffer for
//         each read), runtime (conn.readable, conn.writable), sluice
//         (connectUnix, listenUnix), byob (as sluice, with a BYOB reader)
//   MIB   how much each turn moves

import { connectUnix, listenUnix } from "../../socket/mod.ts";

const TURNS = 16;
/** Turns before those that count. */
const WARM_UP = 2;
const PIECE = 64 * 1024;
/** As large as the reads of the default reader. */
const BYOB_SIZE = 256 * 1024;

const [role, chosen, directory, mebibytes] = Deno.args;
const total = Number(mebibytes) * 2 ** 20;

/** Each opens one end and returns what moves a turn's bytes. */
interface Way {
  receive(path: string): Promise<() => Promise<void>>;
  send(path: string): Promise<() => Promise<void>>;
}

const piece = new Uint8Array(PIECE).fill(7);

/** What was read last: a reader that hands out chunks has to keep them. */
let chunk = new Uint8Array(0);

async function accept(path: string): Promise<Deno.UnixConn> {
  const listener = Deno.listen({ transport: "unix", path });
  const conn = await listener.accept();
  listener.close();
  return conn;
}

async function connect(path: string): Promise<Deno.UnixConn> {
  for (;;) {
    try {
      return await Deno.connect({ transport: "unix", path });
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

function writesBare(conn: Deno.Conn): () => Promise<void> {
  return async () => {
    for (let sent = 0; sent < total; sent += PIECE) {
      let at = await conn.write(piece);
      while (at < PIECE) at += await conn.write(piece.subarray(at));
    }
  };
}

function writesStream(writable: WritableStream): () => Promise<void> {
  const writer = writable.getWriter();
  return async () => {
    for (let sent = 0; sent < total; sent += PIECE) {
      await writer.ready;
      writer.write(piece);
    }
  };
}

function readsStream(readable: ReadableStream): () => Promise<void> {
  const reader = readable.getReader();
  return async () => {
    for (let left = total; left > 0; left -= chunk.length) {
      chunk = (await reader.read()).value;
    }
  };
}

async function acceptOurs(path: string): Promise<ReadableStream<Uint8Array>> {
  const listener = await listenUnix({ path });
  const { readable } = await listener.accept();
  await listener.close();
  return readable;
}

async function sendOurs(path: string): Promise<() => Promise<void>> {
  return writesStream((await connectUnix({ path, retry: true })).writable);
}

const WAYS: Record<string, Way> = {
  bare: {
    async receive(path) {
      const conn = await accept(path);
      const buffer = new Uint8Array(PIECE);
      return async () => {
        for (let left = total; left > 0;) left -= (await conn.read(buffer))!;
      };
    },
    send: async (path) => writesBare(await connect(path)),
  },
  fresh: {
    async receive(path) {
      const conn = await accept(path);
      return async () => {
        for (let left = total; left > 0; left -= chunk.length) {
          const buffer = new Uint8Array(PIECE);
          chunk = buffer.subarray(0, (await conn.read(buffer))!);
        }
      };
    },
    send: async (path) => writesBare(await connect(path)),
  },
  runtime: {
    receive: async (path) => readsStream((await accept(path)).readable),
    send: async (path) => writesStream((await connect(path)).writable),
  },
  sluice: {
    receive: async (path) => readsStream(await acceptOurs(path)),
    send: sendOurs,
  },
  byob: {
    async receive(path) {
      const reader = (await acceptOurs(path)).getReader({ mode: "byob" });
      let buffer = new ArrayBuffer(BYOB_SIZE);
      return async () => {
        for (let left = total; left > 0;) {
          const { value } = await reader.read(new Uint8Array(buffer));
          left -= value!.length;
          buffer = value!.buffer;
        }
      };
    },
    send: sendOurs,
  },
};

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

const names = chosen === "bare" ? ["bare"] : ["bare", chosen];
const control = `${directory}/control.sock`;
const pathOf = (name: string) => `${directory}/${name}.sock`;

if (role === "send") {
  const turns = await connect(control);
  const ways: (() => Promise<void>)[] = [];
  for (const name of names) ways.push(await WAYS[name].send(pathOf(name)));
  for (const turn = new Uint8Array(1); await turns.read(turn) !== null;) {
    await ways[turn[0]]();
  }
} else {
  const turns = await accept(control);
  const ways: (() => Promise<void>)[] = [];
  for (const name of names) ways.push(await WAYS[name].receive(pathOf(name)));
  const rates: number[][] = names.map(() => []);
  for (let turn = -WARM_UP; turn < TURNS; turn++) {
    const order = names.map((_, way) => way);
    // In another order each time: what ran before leaves its mark.
    for (const way of order.toSorted(() => Math.random() - 0.5)) {
      await turns.write(new Uint8Array([way]));
      const start = performance.now();
      await ways[way]();
      if (turn < 0) continue;
      rates[way].push(total / (performance.now() - start) * 1000);
    }
  }
  const own = rates.at(-1)!;
  console.log(JSON.stringify({
    rate: median(own),
    ratio: median(own.map((rate, turn) => rate / rates[0][turn])),
  }));
}
Deno.exit();
