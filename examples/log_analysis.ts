// What went wrong in a web server's log: the status codes, the failures by path
// and by hour, the busiest addresses. `grep` and `sort` do the heavy work in
// processes of their own, connected by the kernel; only the few lines that matter
// come here.
//
//   deno run -A examples/log_analysis.ts [access.log | access.log.gz]
//
// The log has the "combined" format of nginx and Apache. Without an argument it
// reads a sample that it makes.

import { pipeline, PipelineError, type Stage } from "@sluice/ipc/pipe";

const [argument] = Deno.args;
const path = argument ?? await makeSample();

/** The log as text, whatever it is packed with. */
const log = () => path.endsWith(".gz") ? ["gzip", "-dc", path] : ["cat", path];

/** Prints the `count` most frequent lines of what the stages give. */
async function top(title: string, count: number, ...stages: Stage[]) {
  console.log(`\n${title}`);
  const counted = pipeline(
    log(),
    ...stages,
    ["sort"],
    ["uniq", "-c"],
    ["sort", "-rn"],
    ["head", "-n", String(count)],
  ).with({ env: { LC_ALL: "C" }, timeout: 600_000 });
  for await (const line of counted.lines()) console.log(line);
}

/** grep ends with 1 where nothing matches, which is no failure here. */
const failed = {
  command: ["grep", "-E", '" 5[0-9][0-9] '],
  successCodes: [0, 1],
};

try {
  const lines = await pipeline(log(), ["wc", "-l"]).text();
  console.log(`${path}: ${lines.trim()} requests`);

  await top("Status codes", 10, ["awk", "{ print $9 }"]);
  await top("Paths that fail", 10, failed, ["awk", "{ print $9, $7 }"]);
  await top("Failures by hour", 24, failed, ["cut", "-c", "1-200"], hours);
  await top("Busiest addresses", 5, ["cut", "-d", " ", "-f", "1"]);
} catch (error) {
  if (!(error instanceof PipelineError)) throw error;
  // The command, its exit code and the end of its stderr are in the message.
  console.error(error.message);
  Deno.exitCode = 1;
} finally {
  if (argument === undefined) await Deno.remove(path);
}

/** A stage in TypeScript: the hour of each line, as "25/Nov/2026 21:00". */
async function* hours(input: ReadableStream<Uint8Array>) {
  let rest = "";
  for await (const text of input.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    let found = "";
    for (const line of lines) {
      const match = /\[([^:\]]+):(\d\d):/.exec(line);
      if (match) found += `${match[1]} ${match[2]}:00\n`;
    }
    yield found;
  }
}

/** A log of a bad night. */
async function makeSample(): Promise<string> {
  const paths = ["/", "/login", "/api/items", "/api/orders", "/static/app.js"];
  const lines: string[] = [];
  for (let at = 0; at < 20_000; at++) {
    const hour = String(Math.floor(at / 834) % 24).padStart(2, "0");
    const target = paths[at * 7 % paths.length];
    const bad = target === "/api/orders" && (hour === "03" || at % 50 === 0);
    const status = bad ? 503 : at % 97 === 0 ? 404 : 200;
    lines.push(
      `10.0.${at % 5}.${at % 41} - - [25/Nov/2026:${hour}:00:00 +0000] ` +
        `"GET ${target} HTTP/1.1" ${status} ${at % 4096} "-" "curl/8"`,
    );
  }
  const file = await Deno.makeTempFile({ suffix: ".log" });
  await Deno.writeTextFile(file, lines.join("\n") + "\n");
  return file;
}
