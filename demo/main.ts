// The demo: a second process hashes and counts the lines of every file of a
// directory, over each transport there is; the answers are checked against our
// own. Run: deno task demo [--quick] [directory]

import { fileURLToPath } from "node:url";
import { connect, type Connection, schemes } from "../mod.ts";
import { type Answer, answerOf, openChannel } from "./_protocol.ts";
import { type Place, placeOf } from "./_places.ts";
import { startWorker } from "./_start_worker.ts";
import { readTree, type SourceFile } from "./_tree.ts";
import { measureRates, type Rates, row } from "./_rates.ts";

const quick = Deno.args.includes("--quick");
const directory = Deno.args.find((argument) => argument !== "--quick") ??
  fileURLToPath(new URL("..", import.meta.url));

const { files, skipped, folders } = await readTree(directory).catch((error) => {
  console.error(`Cannot read ${directory}: ${error.message}`);
  Deno.exit(1);
});
const expected = new Map<string, Answer>();
for (const file of files) {
  expected.set(file.path, await answerOf(file.path, file.data));
}
const size = files.reduce((sum, { data }) => sum + data.length, 0);
const lines = [...expected.values()].reduce((sum, { lines }) => sum + lines, 0);
console.log(
  `${directory}: ${files.length} files, ${lines} lines, ${size} bytes` +
    (folders.length > 0 ? `, without ${folders.join(" and ")}` : "") +
    (skipped > 0 ? ` (${skipped} left out: too large, or not readable)` : ""),
);
console.log(
  row(["transport", "files", "p50 µs", "p99 µs", "messages/s", "MB/s"]),
);

const temporary = await Deno.makeTempDir({ prefix: "sluice_demo" });
try {
  for (const scheme of schemes()) {
    const place = await placeOf(scheme, temporary);
    if (place === undefined) continue; // the other end of another scheme
    if (typeof place === "string") {
      console.log(`${scheme.padEnd(10)} skipped: ${place}`);
      continue;
    }
    try {
      const rates = await run(place, files);
      console.log(row([
        scheme,
        "equal",
        rates.p50.toFixed(1),
        rates.p99.toFixed(1),
        Math.round(rates.messages).toLocaleString("en"),
        Math.round(rates.megabytes).toLocaleString("en"),
      ]));
    } catch (error) {
      console.log(`${scheme.padEnd(10)} failed: ${error}`);
      Deno.exitCode = 1;
    } finally {
      await place.close?.();
    }
  }
} finally {
  await Deno.remove(temporary, { recursive: true });
}

/** Has a worker at `place` do all the work, then measures the way there. */
async function run(place: Place, files: SourceFile[]): Promise<Rates> {
  await using worker = await startWorker(place);
  const reach = () => connect(worker.address, place.connect);
  await compare(await reach(), files);
  return await measureRates(await reach(), quick ? 0.02 : 1);
}

/** Sends every file; throws unless every answer is what it should be. */
async function compare(
  connection: Connection,
  files: SourceFile[],
): Promise<void> {
  await using peer = openChannel<Answer>(connection);
  const sending = (async () => {
    for (const { path, data } of files) {
      await peer.send({ kind: "file", path, data });
    }
  })();
  sending.catch(() => {}); // the receiving below fails as well
  for (let count = 0; count < files.length; count++) {
    const answer = await peer.receive({ timeout: 60_000 });
    const { sha256, lines } = expected.get(answer.path)!;
    if (answer.sha256 !== sha256 || answer.lines !== lines) {
      throw new Error(
        `${answer.path}: received ${answer.sha256} and ${answer.lines} ` +
          `lines, expected ${sha256} and ${lines}`,
      );
    }
  }
  await sending;
}
