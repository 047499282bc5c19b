// The processor time that a server spends to send a file over loopback TCP:
// sendFile, a loop of read and write, and a pipe of streams. Each way runs in a
// process of its own, in turn; another process reads. The median counts.
//
//   deno run -A bench/send_file.ts [MiB] [rounds]

import { connectTcp, listenTcp, sendFile } from "../tcp/mod.ts";

const [role, ...args] = Deno.args;

if (role === "server") await serve(args[0], args[1]);
else if (role === "client") await read(Number(args[0]));
else await compare(Number(role ?? 1024), Number(args[0] ?? 5));

async function serve(way: string, path: string): Promise<void> {
  await using listener = await listenTcp();
  console.log(listener.port);
  await using connection = await listener.accept();
  const before = cpuTime();
  const started = performance.now();
  if (way === "sendFile") await sendFile(connection, path);
  else if (way === "streams") {
    using file = await Deno.open(path);
    await file.readable.pipeTo(connection.writable, { preventClose: true });
  } else {
    using file = await Deno.open(path);
    const writer = connection.writable.getWriter();
    const buffer = new Uint8Array(Number(way));
    for (let n; (n = await file.read(buffer)) !== null;) {
      await writer.write(buffer.subarray(0, n));
    }
    writer.releaseLock();
  }
  await connection.close();
  console.log(JSON.stringify({
    cpu: cpuTime() - before,
    wall: performance.now() - started,
  }));
}

/** User and system time of all threads of this process, in milliseconds. */
function cpuTime(): number {
  const stat = Deno.readTextFileSync("/proc/self/stat");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10; // ticks of 10 ms
}

async function read(port: number): Promise<void> {
  await using connection = await connectTcp({ port });
  const reader = connection.readable.getReader({ mode: "byob" });
  let buffer = new Uint8Array(256 * 1024);
  for (;;) {
    const { value, done } = await reader.read(buffer);
    if (done) break;
    buffer = new Uint8Array(value.buffer);
  }
}

async function compare(mebibytes: number, rounds: number): Promise<void> {
  const path = await Deno.makeTempFile({ dir: "/dev/shm" });
  try {
    const file = await Deno.open(path, { write: true });
    const block = new Uint8Array(1 << 20);
    for (let at = 0; at < block.length; at += 65536) {
      crypto.getRandomValues(block.subarray(at, at + 65536));
    }
    for (let at = 0; at < mebibytes; at++) await file.write(block);
    file.close();
    const ways = ["sendFile", "65536", "262144", "streams"];
    const results = new Map<string, { cpu: number; wall: number }[]>();
    for (let round = 0; round < rounds; round++) {
      for (const way of ways) {
        const list = results.get(way) ?? [];
        list.push(await run(way, path));
        results.set(way, list);
      }
    }
    const median = (values: number[]) =>
      values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
    console.log(`${mebibytes} MiB over loopback TCP, the server's time in ms`);
    for (const [way, list] of results) {
      const name = /^\d+$/.test(way) ? `read and write, ${way} bytes` : way;
      const cpu = median(list.map(({ cpu }) => cpu));
      const wall = median(list.map(({ wall }) => wall));
      console.log(
        `${name.padEnd(30)} cpu ${cpu.toFixed(0).padStart(6)}` +
          `  wall ${wall.toFixed(0).padStart(6)}`,
      );
    }
  } finally {
    await Deno.remove(path);
  }
}

async function run(
  way: string,
  path: string,
): Promise<{ cpu: number; wall: number }> {
  const script = import.meta.filename!;
  const start = (core: number, ...args: string[]) =>
    new Deno.Command("taskset", {
      args: [
        ...["-c", String(core), Deno.execPath(), "run", "-A", "--no-check"],
        script,
        ...args,
      ],
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
  const server = start(0, "server", way, path);
  const lines = server.stdout.pipeThrough(
    new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>,
  ).getReader();
  const { value: port } = await lines.read();
  const client = start(1, "client", port!.trim());
  let text = "";
  for (let part; !(part = await lines.read()).done;) text += part.value;
  await Promise.all([server.status, client.output()]);
  return JSON.parse(text);
}
