// Jobs that are done once, although the connection is cut again and again.
//
//   deno run -A examples/delivery_jobs.ts

import {
  connect,
  type Connection,
  listen,
  reliableChannel,
  reliableListener,
} from "@sluice/ipc";

const directory = await Deno.makeTempDir();
await using cleanup = new AsyncDisposableStack();
cleanup.defer(() => Deno.remove(directory, { recursive: true }));
const address = `unix:${directory}/jobs.sock`;
const server = reliableListener<{ job: number }>(await listen(address));
const done: number[] = [];
const serving = (async () => {
  for await (const session of server) {
    await session.handle(({ job }) => void done.push(job));
  }
})();

let connection: Connection | undefined;
let connections = 0;
const client = reliableChannel<unknown, { job: number }>(
  async ({ signal }) => {
    connections++;
    return connection = await connect(address, { signal });
  },
  { reconnect: { minDelay: 1, maxDelay: 10 } },
);

const jobs: Promise<void>[] = [];
for (let job = 1; job <= 1000; job++) {
  jobs.push(client.send({ job })); // resolves when the job is done
  if (job % 100 === 0) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    connection?.abort(new Error("pulled the plug"));
  }
}
await Promise.all(jobs);
console.log(
  `${done.length} jobs, each done once, over ${connections} connections`,
);
console.log("in order:", done.every((job, index) => job === index + 1));

await client.close();
await server.close();
await serving;
