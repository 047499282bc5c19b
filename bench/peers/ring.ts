// The same roles as ring.rs, on the package's ring.
import { Ring, SharedMemory } from "../../shm/mod.ts";

const [name, role, countText, sizeText, batchText] = Deno.args;
const count = Number(countText), size = Number(sizeText);
const batch = Number(batchText);
using memory = SharedMemory.open(name);
const there = Ring.open(memory);
const back = Ring.open(memory, { offset: Ring.byteLength(there.capacity) });
const buffer = new Uint8Array(size).fill(7);
const into = new Uint8Array(Math.max(size, batch * ((size + 7) & ~7)));
/** So many records of one way are not counted: the code is not hot yet. */
const warmUp = Math.floor(count / 5);

/** Nanoseconds since the warm-up, for each record. */
function perRecord(started: number): number {
  return (performance.now() - started) / (count - warmUp) * 1e6;
}

function ping(rounds: number): number {
  using writer = there.writer();
  using reader = back.reader();
  let started = performance.now();
  for (let i = -10_000; i < rounds; i++) {
    if (i === 0) started = performance.now();
    buffer[0] = i;
    writer.tryWrite(buffer);
    while (reader.tryRead(into) < 0);
    if (into[0] !== (i & 255)) throw new Error(`wrong record ${i}`);
  }
  return (performance.now() - started) / rounds * 1e6;
}

function pong(rounds: number): void {
  using reader = there.reader();
  using writer = back.writer();
  const message = new Uint8Array(size);
  for (let i = -10_000; i < rounds; i++) {
    while (reader.tryRead(message) < 0);
    writer.tryWrite(message);
  }
}

function send(rounds: number): void {
  using writer = there.writer();
  let sent = 0;
  while (sent < rounds) {
    const left = rounds - sent;
    const goal = left < batch ? rounds : sent + batch;
    while (sent < goal && writer.tryAppend(buffer)) sent++;
    writer.publish();
  }
}

function sendInPlace(rounds: number): void {
  using writer = there.writer();
  let sent = 0;
  while (sent < rounds) {
    const view = writer.tryReserve(size);
    if (view === undefined) continue;
    view[0] = view[size - 1] = sent;
    writer.commit();
    sent++;
  }
}

function receive(rounds: number): number {
  using reader = there.reader();
  let received = 0, started = 0;
  while (received < rounds) {
    if (reader.tryRead(into) < 0) continue;
    if (received++ === warmUp) started = performance.now();
  }
  return perRecord(started);
}

function receiveMany(rounds: number): number {
  using reader = there.reader();
  const lengths = new Int32Array(batch);
  let received = 0, started = 0;
  while (received < rounds) {
    received += reader.tryReadMany(into, lengths);
    if (started === 0 && received > warmUp) started = performance.now();
  }
  return perRecord(started);
}

function receiveInPlace(rounds: number): number {
  using reader = there.reader();
  let received = 0, sum = 0, started = 0;
  while (received < rounds) {
    const view = reader.tryPeek();
    if (view === undefined) continue;
    sum += view[0] + view[view.length - 1];
    reader.release();
    if (received++ === warmUp) started = performance.now();
  }
  if (sum < 0) throw new Error("impossible");
  return perRecord(started);
}

const roles: Record<string, (rounds: number) => number | void> = {
  ping,
  pong,
  send,
  send_peek: sendInPlace,
  recv: receive,
  recv_many: receiveMany,
  recv_peek: receiveInPlace,
};
const result = roles[role](count);
if (result !== undefined) console.log(result);
