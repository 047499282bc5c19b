// How fast one transport is: round trips, small messages and large ones.

import type { Connection } from "../duplex.ts";
import type { Channel } from "../framing/mod.ts";
import { openChannel, type Request } from "./_protocol.ts";

/** What {@linkcode measureRates} found. */
export interface Rates {
  /** Round trip of 64 bytes, in microseconds. */
  p50: number;
  /** Likewise, the slowest but 1 in 100. */
  p99: number;
  /** Messages of 64 bytes one way, a second. */
  messages: number;
  /** Messages of 64 KiB one way, 10^6 bytes a second. */
  megabytes: number;
}

type Peer = Channel<Uint8Array | number, Request>;

const WARM_UP = 2_000;
const ROUND_TRIPS = 10_000;
const SMALL = { size: 64, count: 500_000 };
const LARGE = { size: 64 << 10, count: 4_000 };

/**
 * Measures over `connection`, whose peer is the worker; closes it. With `share`
 * below 1, so much less is sent.
 */
export async function measureRates(
  connection: Connection,
  share = 1,
): Promise<Rates> {
  const trips = Math.ceil(ROUND_TRIPS * share);
  const [smallCount, largeCount] = [SMALL, LARGE].map(({ count }) =>
    Math.ceil(count * share)
  );
  await using peer = openChannel<Uint8Array | number>(connection);
  await peer.send({ kind: "mode", mode: "echo" });
  await roundTrips(peer, Math.ceil(WARM_UP * share));
  const times = (await roundTrips(peer, trips)).sort();

  await peer.send({ kind: "mode", mode: "count" });
  await oneWay(peer, SMALL.size, Math.ceil(smallCount / 10));
  const small = await oneWay(peer, SMALL.size, smallCount);
  const large = await oneWay(peer, LARGE.size, largeCount);
  return {
    p50: times[Math.floor(trips / 2)] * 1000,
    p99: times[Math.floor(trips * 0.99)] * 1000,
    messages: smallCount / small,
    megabytes: LARGE.size * largeCount / large / 1e6,
  };
}

/** The time of each of `count` round trips, in milliseconds. */
async function roundTrips(peer: Peer, count: number): Promise<Float64Array> {
  const payload = new Uint8Array(SMALL.size);
  const times = new Float64Array(count);
  for (let index = 0; index < count; index++) {
    const start = performance.now();
    peer.trySend(payload);
    await peer.receive();
    times[index] = performance.now() - start;
  }
  return times;
}

/** How long `count` messages take until the worker has them all, in seconds. */
async function oneWay(
  peer: Peer,
  size: number,
  count: number,
): Promise<number> {
  const payload = new Uint8Array(size);
  const start = performance.now();
  for (let sent = 0; sent < count; sent++) {
    if (!peer.trySend(payload)) await peer.send(payload);
  }
  await peer.send({ kind: "total" });
  const total = await peer.receive({ timeout: 60_000 });
  if (total !== size * count) {
    throw new Error(`The worker counted ${total} bytes of ${size * count}`);
  }
  return (performance.now() - start) / 1000;
}

/** A line of the table. */
export function row(cells: string[]): string {
  return cells.map((cell, index) =>
    index < 2 ? cell.padEnd(10) : cell.padStart(12)
  ).join("");
}
