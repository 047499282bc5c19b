// The conversation of the soak. The client sends bytes, the server sends each
// message back; at the end they compare hashes of all that went either way.

import { createHash, type Hash } from "node:crypto";
import { connect, type ConnectOptions } from "../mod.ts";
import { type Channel, channel } from "../framing/mod.ts";
import type { Connection } from "../duplex.ts";

/** What the server says at the end. */
interface Sums {
  received: string;
  sent: string;
}

const MAX_SIZE = 256 * 1024;

/** A size from 0 bytes up to 256 KiB, small ones far more often. */
export function randomSize(): number {
  return Math.floor(MAX_SIZE ** Math.random()) - 1;
}

/** Answers one connection until its end. */
export async function answer(connection: Connection): Promise<void> {
  await using peer = channel<Uint8Array | null>(connection) as Channel<
    Uint8Array | null,
    Uint8Array | Sums
  >;
  const received = createHash("sha256");
  const sent = createHash("sha256");
  for await (const message of peer) {
    if (message === null) {
      await peer.send({
        received: received.digest("hex"),
        sent: sent.digest("hex"),
      });
      return;
    }
    received.update(message);
    sent.update(message);
    await peer.send(message);
  }
}

/** What {@linkcode converse} went through. */
export interface Conversation {
  messages: number;
  bytes: number;
}

/**
 * Sends `count` messages and compares all that comes back. Rejects with a
 * `ConnectionClosedError` where the server died, with another error where
 * anything is wrong. `progress` has what went well before.
 */
export async function converse(
  address: string,
  options: ConnectOptions,
  count: number,
  progress: Conversation,
): Promise<void> {
  await using peer = channel<Uint8Array | Sums, Uint8Array | null>(
    await connect(address, options),
    { timeout: 30_000 },
  );
  const sent = createHash("sha256");
  const received = createHash("sha256");
  const receiving = receiveAll(peer, received, count, progress);
  receiving.catch(() => {}); // the loop below fails as well
  for (let index = 0; index < count; index++) {
    const payload = randomBytes(randomSize());
    sent.update(payload);
    await peer.send(payload);
  }
  await receiving;
  await peer.send(null);
  const sums = await peer.receive() as Sums;
  const expected = {
    received: sent.digest("hex"),
    sent: received.digest("hex"),
  };
  if (sums.received !== expected.received || sums.sent !== expected.sent) {
    throw new Error(
      `Hashes differ after ${count} messages: ${JSON.stringify(sums)} and ` +
        JSON.stringify(expected),
    );
  }
}

async function receiveAll(
  peer: Channel<Uint8Array | Sums, Uint8Array | null>,
  hash: Hash,
  count: number,
  progress: Conversation,
): Promise<void> {
  for (let index = 0; index < count; index++) {
    const message = await peer.receive();
    if (!(message instanceof Uint8Array)) throw new Error("Expected bytes");
    hash.update(message);
    progress.messages++;
    progress.bytes += message.length;
  }
}

/** Random bytes, cheaply: a random piece of a random block. */
const block = new Uint8Array(2 * MAX_SIZE);
for (let at = 0; at < block.length; at += 65536) {
  crypto.getRandomValues(block.subarray(at, at + 65536));
}
function randomBytes(size: number): Uint8Array {
  const start = Math.floor(Math.random() * (block.length - size));
  return block.subarray(start, start + size);
}
