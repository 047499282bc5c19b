// Runs every transport for a given time: random sizes, kills, reconnects. Checks
// running hashes both ways, and fails when memory, descriptors, threads or
// /dev/shm grow.
//
//   deno task soak [--minutes N] [--only SCHEME] [--load FRACTION]
//
// A load below 1 rests in between, for a long run beside other work.
//
// For each scheme there is a steady server, which lives through everything, and
// a doomed one, which is killed again and again. This process is their client;
// further clients are killed while they talk to the steady server.

import { parseArgs } from "node:util";
import { schemes } from "../mod.ts";
import { type Place, placeOf } from "../demo/_places.ts";
import { Vitals } from "./_vitals.ts";
import { soakScheme, type Tally } from "./_scheme.ts";

const { values: options } = parseArgs({
  args: Deno.args,
  options: {
    minutes: { type: "string", default: "1" },
    only: { type: "string", default: "" },
    load: { type: "string", default: "1" },
  },
});
const minutes = Number(options.minutes);
if (!(minutes > 0)) {
  console.error(`--minutes is ${JSON.stringify(options.minutes)}: not above 0`);
  Deno.exit(2);
}
const load = Number(options.load);
if (!(load > 0 && load <= 1)) {
  console.error(
    `--load is ${JSON.stringify(options.load)}: not above 0 and at most 1`,
  );
  Deno.exit(2);
}

const shmBefore = countShm();
const directory = await Deno.makeTempDir({ prefix: "sluice_soak" });
const stop = new AbortController();
const vitals = new Vitals();
vitals.watch("client of all", Deno.pid);
const tallies = new Map<string, Tally>();
const places: Place[] = [];
const failures: string[] = [];

Deno.addSignalListener("SIGINT", () => stop.abort());
const end = setTimeout(() => stop.abort(), minutes * 60_000);
const started = performance.now();
// What grows in the first tenth, or minute, is warm-up; then nothing may grow.
const warmUp = Math.max(minutes / 10, Math.min(minutes / 2, 1));
const settled = setTimeout(() => vitals.settle(), warmUp * 60_000);
const ticker = setInterval(show, Math.min(60_000, minutes * 10_000));

await Promise.all(
  schemes().map(async (scheme) => {
    if (!scheme.includes(options.only)) return;
    const place = await placeOf(scheme, directory);
    if (place === undefined) return; // the other end of another scheme
    if (typeof place === "string") return console.log(`${scheme}: ${place}`);
    places.push(place);
    const tally: Tally = { messages: 0, bytes: 0, connections: 0, kills: 0 };
    tallies.set(scheme, tally);
    try {
      const { signal } = stop;
      await soakScheme({ scheme, place, tally, vitals, load, signal });
    } catch (error) {
      failures.push(
        `${scheme}: ${error instanceof Error ? error.stack : error}`,
      );
      stop.abort();
    }
  }),
);

clearTimeout(end);
clearTimeout(settled);
clearInterval(ticker);
for (const place of places) await place.close?.();
await Deno.remove(directory, { recursive: true });
failures.push(...vitals.growth());
const left = countShm() - shmBefore;
if (left > 0) failures.push(`${left} more entries in /dev/shm than before`);
show();
for (const line of vitals.lines()) console.log(line);
for (const failure of failures) console.error(`FAILED ${failure}`);
console.log(
  failures.length === 0 ? "Nothing was lost, nothing grew" : "Soak failed",
);
Deno.exit(failures.length === 0 ? 0 : 1);

function show(): void {
  const time = ((performance.now() - started) / 60_000).toFixed(1);
  for (const [scheme, tally] of tallies) {
    const { messages, bytes, connections, kills } = tally;
    console.log(
      `${time} min  ${scheme.padEnd(6)}${messages} messages, ` +
        `${(bytes / 1e6).toFixed(0)} MB, ${connections} connections, ` +
        `${kills} kills`,
    );
  }
}

function countShm(): number {
  try {
    return [...Deno.readDirSync("/dev/shm")].length;
  } catch {
    return 0;
  }
}
