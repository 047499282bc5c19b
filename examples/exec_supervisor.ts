// A supervisor: four workers, in Python and in Deno, take jobs one by one. One
// that dies or hangs is started again and its job goes to another; SIGTERM lets
// the jobs that run end, and then the workers.
//
//   deno run -A examples/exec_supervisor.ts

import { client, connectExec, jsonRpc, RpcError, serve } from "@sluice/ipc";

interface Work {
  square(n: number): number;
}

const protocol = jsonRpc({ frame: "lines" }); // easy to speak in any language
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

if (Deno.args[0] === "worker") {
  const server = await serve("stdio:", {
    async square(n: number) {
      await sleep(20);
      return n * n;
    },
  }, { protocol });
  await server.closed; // the supervisor closed our stdin, or died
} else await supervise();

async function supervise(): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => stop.abort());
  }
  const python = ["python3", import.meta.filename!.replace(/ts$/, "py")];
  const deno = [Deno.execPath(), "run", import.meta.filename!, "worker"];
  const jobs = Array.from({ length: 1_000 }, (_, n) => n);
  const results = new Map<number, number>();
  const pids = new Set<number>();

  /** Keeps one worker running, and gives it one job after the other. */
  async function keep(command: string[]): Promise<void> {
    let pause = 100; // grows while a worker does nothing but die
    while (!stop.signal.aborted) {
      await using process = await connectExec({ command });
      await using worker = client<Work>(process, { protocol, timeout: 5_000 });
      pids.add(process.pid);
      while (!stop.signal.aborted && jobs.length > 0) {
        const job = jobs.shift()!;
        try {
          results.set(job, await worker.square(job));
          pause = 100;
        } catch (error) {
          if (error instanceof RpcError) { // the job's own fault
            console.error(`job ${job}: ${error.message}`);
            continue;
          }
          jobs.push(job);
          process.abort(); // it is dead, or gave no answer in time
          break;
        }
      }
      pids.delete(process.pid);
      if (stop.signal.aborted || jobs.length === 0) break;
      const { code, signal } = await process.status;
      console.log(`a worker ended with ${signal ?? code}: one more starts`);
      await sleep(pause);
      pause = Math.min(2 * pause, 10_000);
    }
  } // both are closed: the worker sees the end of its stdin, and ends

  // What may happen to it: a worker is killed, then the supervisor is to end.
  const accident = (async () => {
    while (results.size < 50) await sleep(10);
    Deno.kill([...pids][0], "SIGKILL");
    while (results.size < 200 || pids.size < 4) await sleep(10);
    Deno.kill(Deno.pid, "SIGTERM");
  })();

  await Promise.all([python, deno, python, deno].map(keep));
  await accident;
  console.log(
    "every answer right:",
    [...results].every(([n, m]) => m === n * n),
  );
  console.log("no job lost:", results.size + jobs.length === 1_000);
}
