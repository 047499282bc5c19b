// A service that restarts without refusing a client. The running process gives
// its listener to the next one, finishes what it has, and ends.
//
//   deno run -A examples/zero_downtime.ts          a demonstration
//   deno run -A examples/zero_downtime.ts serve DIRECTORY VERSION

import {
  connectUnix,
  handOver,
  inheritedListeners,
  listenUnix,
  receiveListener,
  serveConnections,
} from "@sluice/ipc/socket";
import { connectTcp, listenTcp } from "@sluice/ipc/tcp";

if (Deno.args[0] === "serve") await serve(Deno.args[1], Deno.args[2]);
else await demonstrate();

async function serve(directory: string, version: string): Promise<void> {
  const control = `${directory}/control.sock`;
  const listener = await fromPredecessor(control) ??
    inheritedListeners()[0] ?? // started by systemd
    await listenTcp();
  const served = serveConnections(listener, async (connection) => {
    const writer = connection.writable.getWriter();
    await writer.write(new TextEncoder().encode(`version ${version}`));
    writer.releaseLock();
  });

  const controls = await listenUnix({ path: control });
  await Deno.writeTextFile(`${directory}/address`, listener.address);
  console.log(`version ${version} serves ${listener.address}`);
  const successor = await controls.accept();
  await controls.close();
  await handOver(listener, successor);
  await successor.close();
  await served; // the clients that are here finish
  console.log(`version ${version} is done`);
}

/** The listener of the process that runs now, if one does. */
async function fromPredecessor(control: string) {
  try {
    await using predecessor = await connectUnix({ path: control });
    return await receiveListener(predecessor);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function demonstrate(): Promise<void> {
  const directory = await Deno.makeTempDir();
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => Deno.remove(directory, { recursive: true }));
  const start = (version: string) =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", import.meta.filename!, "serve", directory, version],
    }).spawn();
  const first = start("1");
  let address: string | undefined;
  while (address === undefined) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    address = await Deno.readTextFile(`${directory}/address`).catch(() =>
      undefined
    );
  }
  const port = Number(address.split(":").at(-1));

  const answers = new Map<string, number>();
  let second: Deno.ChildProcess | undefined;
  while ((answers.get("version 2") ?? 0) < 100) {
    const connection = await connectTcp({ port });
    const answer = await new Response(connection.readable as BodyInit).text();
    await connection.close();
    answers.set(answer, (answers.get(answer) ?? 0) + 1);
    if (answers.get("version 1") === 100) second ??= start("2");
  }
  console.log("answers, and not one refused:", Object.fromEntries(answers));
  await first.status;
  second?.kill();
  await second?.status;
}
