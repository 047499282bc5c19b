// What a request costs over a pooled connection and over a fresh one, on
// loopback: 64 bytes there and back, one request at a time, then 16 at once. The
// server is a process of its own. The ways take turns; the median counts.
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
else await compare(Number(Deno.args[0] ?? 400), Number(Deno.args[1] ?? 5));

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

async function compare(requests: number, rounds: number): Promise<void> {
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
  const server = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL(import.meta.url).pathname, "server", directory],
    stdout: "piped",
  }).spawn();
  try {
    const reader = server.stdout.getReader();
    const [tcpPort, tlsPort] = new TextDecoder().decode(
      (await reader.read()).value,
    ).trim().split(" ").map(Number);
    const caCerts = [await Deno.readTextFile(`${directory}/cert.pem`)];
    const kinds = {
      tcp: (signal?: AbortSignal) => connectTcp({ port: tcpPort, signal }),
      tls: (signal?: AbortSignal) =>
        connectTls({ hostname: "localhost", port: tlsPort, caCerts, signal }),
    };
    console.log("microseconds per request, median of", rounds);
    for (const [name, connect] of Object.entries(kinds)) {
      for (const width of [1, 16]) {
        const pool = createPool(({ signal }) => connect(signal), {
          max: width,
        });
        const pooled = () => pool.use(request);
        const fresh = async () => {
          const connection = await connect();
          await request(connection);
          await connection.close();
        };
        const times: Record<string, number[]> = { pooled: [], fresh: [] };
        await run(pooled, width, 100);
        await run(fresh, width, 30);
        for (let round = 0; round < rounds; round++) {
          times.pooled.push(await run(pooled, width, requests));
          times.fresh.push(await run(fresh, width, requests / 2));
        }
        const [a, b] = [median(times.pooled), median(times.fresh)];
        console.log(
          `${name}, ${width} at once`.padEnd(18),
          `pooled ${a.toFixed(0).padStart(5)}  fresh ${
            b.toFixed(0).padStart(5)
          }  ratio ${(b / a).toFixed(1)}`,
        );
        await pool.drain();
      }
    }
  } finally {
    server.kill("SIGKILL");
    await server.status;
    await Deno.remove(directory, { recursive: true });
  }
}

/** Microseconds per request. */
async function run(
  work: () => Promise<void>,
  width: number,
  count: number,
): Promise<number> {
  const started = performance.now();
  let left = count;
  await Promise.all(Array.from({ length: width }, async () => {
    while (left-- > 0) await work();
  }));
  return (performance.now() - started) / count * 1000;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}
