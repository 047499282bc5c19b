// One end of the round trips of framing_throughput.ts: a way and the bare loop
// have a connection each between the same two processes, and take turns, so that
// both meet the same machine.
//
// usage: round_trip_peer.ts ROLE WAY DIRECTORY BYTES
//   ROLE  answer (listens), call (prints each median and its ratio as JSON)
//   WAY   bare, streams, bytes, msgpack

import type { Connection } from "../../duplex.ts";
import {
  bytes,
  channel,
  FrameDecoderStream,
  FrameEncoderStream,
  lengthPrefixed,
  msgpack,
} from "../../framing/mod.ts";
import { connectUnix, listenUnix } from "../../socket/mod.ts";

/** How often the ways take turns, and how many round trips one turn has. */
const TURNS = 60;
const TRIPS = 500;

const [role, chosen, directory, bytesText] = Deno.args;
const payload = new Uint8Array(Number(bytesText)).fill(7);
const message = { id: 12345, method: "compute", params: [1, 2.5, "three"] };

/** One end of a way: both ends of a connection run it. */
interface Way {
  /** Answers everything until the caller leaves. */
  answer(path: string): Promise<void>;
  /** Connects, and returns what makes one round trip. */
  call(path: string): Promise<() => Promise<unknown>>;
}

/** The same bytes by the runtime alone, which looks for no frames. */
const bare: Way = {
  async answer(path) {
    const listener = Deno.listen({ transport: "unix", path });
    const conn = await listener.accept();
    const frame = new Uint8Array(payload.length + 4);
    while (await readAll(conn, frame)) await writeAll(conn, frame);
  },
  async call(path) {
    const conn = await Deno.connect({ transport: "unix", path });
    const frame = new Uint8Array(payload.length + 4);
    const into = new Uint8Array(frame.length);
    return async () => {
      await writeAll(conn, frame);
      await readAll(conn, into);
    };
  },
};

async function writeAll(conn: Deno.Conn, data: Uint8Array): Promise<void> {
  let at = await conn.write(data);
  while (at < data.length) at += await conn.write(data.subarray(at));
}

async function readAll(conn: Deno.Conn, into: Uint8Array): Promise<boolean> {
  let at = 0;
  while (at < into.length) {
    const count = await conn.read(at === 0 ? into : into.subarray(at));
    if (count === null) return false;
    at += count;
  }
  return true;
}

function channelWay(codec: typeof bytes | typeof msgpack): Way {
  const value = codec === msgpack ? message : payload;
  return {
    async answer(path) {
      const both = channel<unknown>(await accept(path), { codec });
      for await (const received of both) both.send(received);
    },
    async call(path) {
      const both = channel<unknown>(await connectUnix({ path }), { codec });
      return () => {
        both.send(value);
        return both.receive();
      };
    },
  };
}

const streams: Way = {
  async answer(path) {
    const { reader, writer } = throughStreams(await accept(path));
    for (let next; !(next = await reader.read()).done;) {
      writer.write(next.value);
    }
  },
  async call(path) {
    const { reader, writer } = throughStreams(await connectUnix({ path }));
    return () => {
      writer.write(payload);
      return reader.read();
    };
  },
};

function throughStreams(connection: Connection) {
  const format = lengthPrefixed();
  const encoder = new FrameEncoderStream(format);
  encoder.readable.pipeTo(connection.writable).catch(() => {});
  return {
    writer: encoder.writable.getWriter(),
    reader: connection.readable.pipeThrough(new FrameDecoderStream(format))
      .getReader(),
  };
}

async function accept(path: string): Promise<Connection> {
  const listener = await listenUnix({ path });
  return await listener.accept();
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

const WAYS: Record<string, Way> = {
  bare,
  streams,
  bytes: channelWay(bytes),
  msgpack: channelWay(msgpack),
};
const names = chosen === "bare" ? ["bare"] : ["bare", chosen];

if (role === "answer") {
  for (const name of names) {
    WAYS[name].answer(`${directory}/${name}.sock`).catch(() => {});
  }
  console.log("listening");
} else {
  const ways: {
    name: string;
    trip: () => Promise<unknown>;
    times: number[];
  }[] = [];
  for (const name of names) {
    const trip = await WAYS[name].call(`${directory}/${name}.sock`);
    for (let i = 0; i < 20 * TRIPS; i++) await trip(); // warm up
    ways.push({ name, trip, times: [] });
  }
  for (let turn = 0; turn < TURNS; turn++) {
    // In another order each time: what ran before leaves its mark.
    for (const { trip, times } of ways.toSorted(() => Math.random() - 0.5)) {
      const start = performance.now();
      for (let i = 0; i < TRIPS; i++) await trip();
      times.push((performance.now() - start) / TRIPS * 1000);
    }
  }
  const base = ways[0].times;
  const { times } = ways.at(-1)!;
  console.log(JSON.stringify({
    microseconds: median(times),
    ratio: median(times.map((time, turn) => time / base[turn])),
  }));
  Deno.exit();
}
