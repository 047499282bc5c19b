// The soak of one transport.

import { ConnectionClosedError, schemes } from "../mod.ts";
import { sleep } from "../_async/wait.ts";
import type { Place } from "../demo/_places.ts";
import { type Conversation, converse } from "./_talk.ts";
import { PEER, startServer, startVictim } from "./_start.ts";
import type { Vitals } from "./_vitals.ts";

/** What went over a transport so far. */
export interface Tally extends Conversation {
  connections: number;
  kills: number;
}

/** Options of {@linkcode soakScheme}. */
interface SoakOptions {
  scheme: string;
  place: Place;
  tally: Tally;
  vitals: Vitals;
  /** How much of the time to work, above 0 and at most 1. */
  load: number;
  signal: AbortSignal;
}

/** Runs until `signal`; throws where anything is lost, or hangs. */
export async function soakScheme(options: SoakOptions): Promise<void> {
  const { scheme } = options;
  const listens = schemes({ listen: true }).includes(scheme);
  if (!listens) {
    // Connecting starts a server, for that connection alone.
    const command =
      `"${Deno.execPath()}" run -A --no-check "${PEER}" serve stdio:`;
    return await talkOn(options, `${scheme}:${command}`);
  }
  await using steady = await startServer(options.place, "steady");
  options.vitals.watch(`${scheme} server`, steady.pid);
  await Promise.all([
    talkOn(options, steady.address),
    victims(options, steady.address),
    doomed(options),
  ]);
}

/** Conversations with a server that must not fail. */
async function talkOn(options: SoakOptions, address: string): Promise<void> {
  const { place, tally, signal } = options;
  while (!signal.aborted) {
    const started = performance.now();
    tally.connections++;
    await converse(address, place.connect, randomCount(), tally);
    await sleep(Math.random() * 100);
    await rest(started, options);
  }
}

/** Clients that are killed while they talk: the server has to live with it. */
async function victims(options: SoakOptions, address: string): Promise<void> {
  const { place, tally, signal } = options;
  while (!signal.aborted) {
    const started = performance.now();
    const victim = await startVictim(place, address);
    await sleep(Math.random() * 500);
    await victim.kill();
    tally.kills++;
    await sleep(1000);
    await rest(started, options);
  }
}

/** Servers that are killed while we talk: we have to hear of it, in time. */
async function doomed(options: SoakOptions): Promise<void> {
  const { place, tally, signal } = options;
  while (!signal.aborted) {
    const started = performance.now();
    await using server = await startServer(place, "doomed");
    const talking = (async () => {
      for (;;) {
        tally.connections++;
        await converse(server.address, place.connect, 1000, tally);
      }
    })();
    talking.catch(() => {});
    await sleep(500 + Math.random() * 1500);
    await server.kill();
    tally.kills++;
    const error = await Promise.race([
      talking.catch((error: unknown) => error),
      sleep(20_000).then(() => new Error("hung after the server was killed")),
    ]);
    if (!isLoss(error)) throw error;
    await rest(started, options);
  }
}

/** Waits until work since `started` was `load` of the time. */
function rest(started: number, { load, signal }: SoakOptions): Promise<void> {
  const pause = (performance.now() - started) * (1 / load - 1);
  return sleep(pause, signal).catch(() => {});
}

/** What may be heard of a server that was killed. */
function isLoss(error: unknown): boolean {
  return error instanceof ConnectionClosedError ||
    error instanceof Deno.errors.ConnectionRefused ||
    error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.NotFound ||
    error instanceof Deno.errors.UnexpectedEof ||
    (error instanceof Error && error.name === "FrameError"); // half a frame
}

function randomCount(): number {
  return Math.floor(1000 ** Math.random());
}
