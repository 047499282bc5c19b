// A daemon of one user, and its command line: who may call is decided by user
// id, it tells how it is, and a new version takes its socket over while clients
// go on calling.
//
//   deno run -A examples/unix_daemon.ts                     a demonstration
//   deno run -A examples/unix_daemon.ts serve PATH VERSION  until SIGTERM
//   deno run -A examples/unix_daemon.ts health PATH

import { client, type Context, serve } from "@sluice/ipc";
import {
  connectUnix,
  handOver,
  type Listener,
  listenUnix,
  receiveListener,
} from "@sluice/ipc/socket";

let version = "0";
const handlers = {
  health: () => ({ version, pid: Deno.pid, uptime: performance.now() }),
  whoami(this: Context) {
    return this.peer.credentials ?? null;
  },
  async sleep(this: Context, milliseconds: number) {
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    return version;
  },
};

/** Any user may open the socket; only these get an answer. */
const allow = { uids: [Deno.uid()!, 0] };

const [command, path] = Deno.args;
if (command === undefined) await demonstrate();
else if (command === "serve") await daemon(Deno.args[2] ?? "1");
else {
  await using api = await connect(path);
  if (command !== "health" && command !== "whoami") {
    throw new TypeError(`Cannot run ${command}: try serve, health or whoami`);
  }
  console.log(await api[command]());
}

function connect(path: string) {
  return client<typeof handlers>(`unix:${path}`, {
    timeout: 5_000, // of a call: a daemon that hangs is an error too
    connect: { retry: true, timeout: 5_000 },
  });
}

async function daemon(name: string): Promise<void> {
  version = name;
  const listener = await fromPredecessor() ??
    await listenUnix({ path, mode: 0o666, allow, onDenied });
  const server = serve(listener, handlers);

  // Only this user may take over: this socket keeps its mode of 0o600.
  const controls = await listenUnix({ path: `${path}.control` });
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => stop.abort());
  }
  try {
    const successor = await controls.accept({ signal: stop.signal });
    await controls.close(); // the successor makes its own
    await handOver(listener, successor);
    await successor.close();
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    await controls.close();
  }
  await server.drain({ timeout: 10_000 }); // answers what it has begun
}

function onDenied(error: Error): void {
  console.error(error.message);
}

/** The listener of the daemon that runs now, if one does. */
async function fromPredecessor(): Promise<Listener | undefined> {
  try {
    await using predecessor = await connectUnix({ path: `${path}.control` });
    return await receiveListener(predecessor, { allow, onDenied });
  } catch (error) {
    const none = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.ConnectionRefused; // it was killed
    if (none) return undefined;
    throw error;
  }
}

async function demonstrate(): Promise<void> {
  const directory = await Deno.makeTempDir();
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => Deno.remove(directory, { recursive: true }));
  const path = `${directory}/daemon.sock`;
  const start = (version: string) =>
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", import.meta.filename!, "serve", path, version],
    }).spawn();

  const first = start("1");
  await using old = await connect(path);
  const { pid } = await old.health();
  console.log("served by version 1:", pid === first.pid);
  const slow = old.sleep(500);

  // A restart. Clients come and go meanwhile; one that fails would end this.
  const second = start("2");
  let answers = 0;
  for (let version = "1"; version === "1"; answers++) {
    await using api = await connect(path);
    ({ version } = await api.health());
  }
  console.log("served by version 2, calls meanwhile:", answers > 1);
  console.log("the call that had begun ends in version", await slow);
  console.log("version 1 ended with code", (await first.status).code);

  second.kill("SIGTERM");
  console.log("version 2 ended with code", (await second.status).code);
}
