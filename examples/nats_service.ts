// A service that outgrows its machine: the address changes from unix: to nats:,
// the code does not. Over NATS two workers share the work.
//
//   deno run -A examples/nats_service.ts                      (both, one after the other)
//   deno run -A examples/nats_service.ts nats:host:4222/math  (a NATS server of yours)
//
// Without an address it starts nats-server for itself, where that is installed.

import { client, serve } from "@sluice/ipc";

const handlers = {
  pid: () => Deno.pid,
  add: (a: number, b: number) => a + b,
};

if (Deno.args[0] === "worker") {
  await serve(Deno.args[1], handlers);
  console.log("ready");
} else if (Deno.args.length > 0) {
  await use(Deno.args[0], 2);
} else {
  const directory = await Deno.makeTempDir();
  await use(`unix:${directory}/math.sock`, 1);
  await Deno.remove(directory, { recursive: true });
  await using server = await startNats();
  if (server !== undefined) await use(`nats:${server.host}/math`, 2);
}

/** Starts workers at the address, and calls each of them. */
async function use(address: string, count: number): Promise<void> {
  const workers = await Promise.all(
    Array.from({ length: count }, () => startWorker(address)),
  );
  const seen = new Set<number>();
  while (seen.size < count) {
    // Each connection goes to one of the workers.
    await using math = await client<typeof handlers>(address);
    seen.add(await math.pid());
    console.log(
      `${address.split(":")[0]}: 20 + 22 = ${await math.add(20, 22)}`,
    );
  }
  console.log(`${address.split(":")[0]}: ${count} worker(s) answered`);
  for (const worker of workers) worker.kill("SIGKILL");
  await Promise.all(workers.map((worker) => worker.status));
}

async function startWorker(address: string): Promise<Deno.ChildProcess> {
  const worker = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", import.meta.filename!, "worker", address],
    stdout: "piped",
  }).spawn();
  const reader = worker.stdout.getReader();
  await reader.read(); // "ready"
  await reader.cancel();
  return worker;
}

/** A NATS server on a free port; `undefined` where none is installed. */
async function startNats(): Promise<
  AsyncDisposable & { host: string } | undefined
> {
  let server: Deno.ChildProcess;
  try {
    server = new Deno.Command("nats-server", {
      args: ["-a", "127.0.0.1", "-p", "-1"],
      stderr: "piped",
    }).spawn();
  } catch {
    console.log("nats-server is not installed: that was all");
    return undefined;
  }
  let log = "";
  const reader = server.stderr.getReader();
  while (!log.includes("Server is ready")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(log);
    log += new TextDecoder().decode(value);
  }
  return {
    host: /client connections on (\S+)/.exec(log)![1],
    async [Symbol.asyncDispose]() {
      await reader.cancel();
      server.kill();
      await server.status;
    },
  };
}
