// Servers that are killed while messages are on their way.

import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "@std/assert";
import { reliableChannel } from "../delivery/mod.ts";
import { connectUnix } from "../socket/mod.ts";
import { HASTE } from "./_delivery.ts";
import { Random } from "./_random.ts";
import { temporaryDirectory } from "./_tools.ts";

const RESTARTS = 100;
const script = fileURLToPath(
  new URL("peers/reliable_server.ts", import.meta.url),
);

/** A server that waits for its turn. */
function startServer(path: string, journal: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", script, path, journal],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
}

/** Lets it listen, and waits until it does. */
async function activate(server: Deno.ChildProcess): Promise<void> {
  const writer = server.stdin.getWriter();
  await writer.write(new TextEncoder().encode("go\n"));
  await writer.close();
  const reader = server.stdout.getReader();
  const { value } = await reader.read();
  assertEquals(new TextDecoder().decode(value), "ready\n");
  await reader.cancel();
}

async function kill(server: Deno.ChildProcess): Promise<void> {
  server.kill("SIGKILL");
  await server.status;
  await server.stdin.close().catch(() => {});
  if (!server.stdout.locked) await server.stdout.cancel().catch(() => {});
}

Deno.test("reliable: a server killed a hundred times under load loses and doubles nothing", async () => {
  await using directory = await temporaryDirectory();
  const path = `${directory.path}/a.sock`;
  const journal = `${directory.path}/journal`;
  Deno.writeTextFileSync(journal, "");
  const random = new Random(Date.now());
  const resumed: boolean[] = [];
  const client = reliableChannel<never, number>(
    ({ signal }) => connectUnix({ path, signal }),
    {
      reconnect: HASTE,
      onReconnect: (event) => resumed.push(event.resumed),
      window: { maxMessages: 500 },
    },
  );

  let sent = 0, connections = 0;
  let stopping = false;
  const sending = (async () => {
    while (!stopping) {
      if (client.trySend(sent)) sent++;
      else await client.ready;
      if (sent % 100 === 0) await new Promise((done) => setTimeout(done));
    }
    await client.flush();
  })();

  const standby = [1, 2].map(() => startServer(path, journal));
  for (let restart = 0; restart <= RESTARTS; restart++) {
    const server = standby.shift()!;
    await activate(server);
    if (restart < RESTARTS - 1) standby.push(startServer(path, journal));
    if (restart === RESTARTS) {
      stopping = true;
      await sending; // everything is acknowledged
      await client.close();
      await kill(server);
      break;
    }
    // Mostly in full swing, sometimes while it is greeted.
    if (random.below(5) > 0) {
      const before = connections;
      while (client.stats.connections === before) {
        await new Promise((done) => setTimeout(done, 1));
      }
    }
    await new Promise((done) => setTimeout(done, random.below(15)));
    await kill(server);
    connections = client.stats.connections;
  }
  assertEquals(standby, []);

  const messages = Deno.readTextFileSync(journal).trim().split("\n")
    .map((line) => Number(line.split(" ")[2]));
  assertEquals(messages.length, sent);
  assert(messages.every((message, index) => message === index));
  assert(sent > 1000, `only ${sent} messages`);
  // One that was killed before it handled anything is no session to resume.
  const count = resumed.filter((value) => value).length;
  assert(count > RESTARTS / 2, `only ${count} of ${resumed.length} resumed`);
});
