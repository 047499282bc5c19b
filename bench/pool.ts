// What a request costs over a pooled connection and over a fresh one, on
// loopback: 64 bytes there and back, 1, 16 and 64 at once. Client and server are
// processes on a core each. The ways take turns; the median counts. "bare" is the
// runtime's own Deno.connect without streams, kept and fresh.
//
//   deno run -A bench/pool.ts [requests] [rounds]

import {
  connectTcp,
  connectTls,
  createPool,
  listenTcp,
  listenTls,
  serveConnections,
} from "../tcp/mod.ts";
import type { Connection } from "../duplex.ts";

const MESSAGE = new Uint8Array(64);

if (Deno.args[0] === "server") await serve(Deno.args[1]);
else if (Deno.args[0] === "client") await compare(Deno.args.slice(1));
else await start(Deno.args[0] ?? "600", Deno.args[1] ?? "5");

async function serve(directory: string): Promise<void> {
  const tcp = await listenTcp();
  const tls = await listenTls({
    cert: await Deno.readTextFile(`${directory}/cert.pem`),
    key: await Deno.readTextFile(`${directory}/key.pem`),
  });
  console.log(`${tcp.port} ${tls.port}`);
  await Promise.all([tcp, tls].map((listener) =>
    serveConnections(
      listener,
      (connection) => connection.readable.pipeTo(connection.writable),
      { onError() {} },
    )
  ));
}

async function request(connection: Connection): Promise<void> {
  const writer = connection.writable.getWriter();
  await writer.write(MESSAGE);
  writer.releaseLock();
  const reader = connection.readable.getReader();
  for (let got = 0; got < MESSAGE.length;) {
    got += (await reader.read()).value!.length;
  }
  reader.releaseLock();
}

/** One of the two processes, on a core of its own. */
function pinned(core: number, ...args: string[]): Deno.Command {
  const own = [
    Deno.execPath(),
    "run",
    "-A",
    "--no-check",
    import.meta.filename!,
  ];
  return new Deno.Command("taskset", {
    args: ["-c", String(core), ...own, ...args],
    stdout: args[0] === "server" ? "piped" : "inherit",
  });
}

async function start(requests: string, rounds: string): Promise<void> {
  const directory = await Deno.makeTempDir();
  await new Deno.Command("openssl", {
    args: [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1".split(
        " ",
      ),
      ..."-nodes -days 2 -subj /CN=localhost -addext".split(" "),
      "subjectAltName=DNS:localhost",
      "-addext",
      "basicConstraints=critical,CA:FALSE",
      "-keyout",
      `${directory}/key.pem`,
      "-out",
      `${directory}/cert.pem`,
    ],
    stderr: "null",
  }).output();
  const server = pinned(0, "server", directory).spawn();
  try {
    const reader = server.stdout.getReader();
    const ports = new TextDecoder().decode((await reader.read()).value).trim();
    const args = [directory, requests, rounds, ...ports.split(" ")];
    await pinned(1, "client", ...args).spawn().status;
  } finally {
    server.kill("SIGKILL");
    await server.status;
    await Deno.remove(directory, { recursive: true });
  }
}

async function compare([directory, ...args]: string[]): Promise<void> {
  const [requests, rounds, tcpPort, tlsPort] = args.map(Number);
  const caCerts = [await Deno.readTextFile(`${directory}/cert.pem`)];
  const kinds = {
    tcp: (signal?: AbortSignal) => connectTcp({ port: tcpPort, signal }),
    tls: (signal?: AbortSignal) =>
      connectTls({ hostname: "localhost", port: tlsPort, caCerts, signal }),
  };
  console.log("microseconds per request, median of", rounds);
  for (const width of [1, 16, 64]) {
    const measured = { width, requests, rounds };
    for (const [name, connect] of Object.entries(kinds)) {
      const pool = createPool(({ signal }) => connect(signal), { max: width });
      await measure(name, measured, () => pool.use(request), async () => {
        const connection = await connect();
        await request(connection);
        await connection.close();
      });
      await pool.drain();
    }
    const kept = await Promise.all(
      Array.from({ length: width }, () => Deno.connect({ port: tcpPort })),
    );
    await measure(
      "bare tcp",
      measured,
      (i) => bareRequest(kept[i]),
      async () => {
        using connection = await Deno.connect({ port: tcpPort });
        await bareRequest(connection);
      },
    );
    for (const connection of kept) connection.close();
  }
}

async function measure(
  name: string,
  { width, requests, rounds }: Record<string, number>,
  kept: Work,
  fresh: Work,
): Promise<void> {
  const times: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    for (const [i, work] of [kept, fresh].entries()) {
      // What the other way left behind is not this one's cost.
      await run(work, width, width + 50);
      times[i].push(await run(work, width, i === 0 ? requests : requests / 2));
    }
  }
  const [one, other] = times.map(median);
  console.log(
    `${name}, ${width} at once`.padEnd(22),
    `kept ${one.toFixed(0).padStart(5)}`,
    ` fresh ${other.toFixed(0).padStart(5)}`,
    ` ratio ${(other / one).toFixed(1).padStart(5)}`,
  );
}

async function bareRequest(connection: Deno.Conn): Promise<void> {
  await connection.write(MESSAGE);
  const into = new Uint8Array(MESSAGE.length);
  for (let got = 0; got < MESSAGE.length;) {
    got += (await connection.read(into))!;
  }
}

/** One request of one of the workers that run at once. */
type Work = (worker: number) => Promise<void>;

/** Microseconds per request. */
async function run(
  work: Work,
  width: number,
  count: number,
): Promise<number> {
  const started = performance.now();
  let left = count;
  await Promise.all(Array.from({ length: width }, async (_, worker) => {
    while (left-- > 0) await work(worker);
  }));
  return (performance.now() - started) / count * 1000;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}
