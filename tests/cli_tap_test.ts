// sluice tap: a proxy that shows what passes.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { connect, listen } from "../mod.ts";
import { channel, json } from "../framing/mod.ts";
import { serve } from "../rpc/mod.ts";
import { awaitNote, CLI, finish, openTmux, sluice, spawn } from "./_cli.ts";
import { hasProgram, temporaryDirectory } from "./_tools.ts";

const encode = (text: string) => new TextEncoder().encode(text);

/** Sends `text` through the proxy; gives what the echo at its far end said. */
async function exchange(address: string, text: string): Promise<string> {
  await using client = await connect(address);
  const writer = client.writable.getWriter();
  await writer.write(encode(text));
  await writer.close();
  return await new Response(client.readable as BodyInit).text();
}

/** An echo server that ends with the scope. */
async function echo(address: string): Promise<AsyncDisposable> {
  const listener = await listen(address);
  const serving = (async () => {
    for await (const connection of listener) {
      await connection.readable.pipeTo(connection.writable).catch(() => {});
      await connection.close().catch(() => {});
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      await listener.close();
      await serving;
    },
  };
}

async function stop(child: Deno.ChildProcess) {
  child.kill("SIGTERM");
  await child.stdin.close();
  return await finish(child);
}

Deno.test("cli: tap passes bytes on, shows them and counts them", async () => {
  await using directory = await temporaryDirectory();
  const { path } = directory;
  await using _echo = await echo(`unix:${path}/up.sock`);
  const proxy = spawn(["tap", "tcp:127.0.0.1:0", `unix:${path}/up.sock`]);
  const [, address] = await awaitNote(proxy, /Listening on (tcp:\S+)/);
  assertEquals(await exchange(address, "one"), "one");
  assertEquals(await exchange(address, "\x1b[31mtwo"), "\x1b[31mtwo");
  const { code, stdout, stderr } = await stop(proxy);
  assertEquals(code, 143);
  assertMatch(stdout, /#1 -> 3 B {2}6f 6e 65 {2}\|one\|\n/);
  assertMatch(stdout, /#1 <- 3 B {2}6f 6e 65 {2}\|one\|\n/);
  assertMatch(stdout, /#2 -> 8 B/);
  assert(!stdout.includes("\x1b"), "a peer drives the terminal");
  assertMatch(stderr, /2 connections, 0 open {2}-> 2 chunks, 11 B {2}<- 2 ch/);
});

Deno.test("cli: tap writes frames as JSON lines and as a capture", async () => {
  await using directory = await temporaryDirectory();
  const { path } = directory;
  await using upstream = await listen(`unix:${path}/up.sock`);
  // deno-fmt-ignore
  const proxy = spawn([
    "tap", `unix:${path}/tap.sock`, upstream.address,
    "--frames", "length", "--codec", "json",
    "--json", "-", "--pcap", `${path}/a.pcapng`,
  ]);
  await awaitNote(proxy, /Listening on/);
  {
    await using client = channel<unknown>(
      await connect(`unix:${path}/tap.sock`),
      { codec: json },
    );
    await using server = channel<unknown>(await upstream.accept(), {
      codec: json,
    });
    await client.send({ ask: 1 });
    assertEquals(await server.receive(), { ask: 1 });
    await server.send({ answer: [2] });
    assertEquals(await client.receive(), { answer: [2] });
  }
  const { stdout, stderr } = await stop(proxy);
  const frames = stdout.trim().split("\n").map((line) => JSON.parse(line))
    .filter(({ kind }) => kind === "frame")
    .map(({ direction, message }) => [direction, message]);
  assertEquals(frames, [
    ["sent", { ask: 1 }],
    ["received", { answer: [2] }],
  ]);
  assertMatch(stderr, /1 connection, 0 open {2}-> 1 frame, 13 B/);
  const capture = await Deno.readFile(`${path}/a.pcapng`);
  assertEquals(capture.subarray(0, 4).toHex(), "0a0d0d0a");
  assert(capture.length > 100);
  await assertGone(`${path}/tap.sock`);
});

async function assertGone(path: string): Promise<void> {
  const found = await Deno.lstat(path).then(() => true, () => false);
  assert(!found, `${path} was left`);
}

Deno.test("cli: tap says what can't be, and where the upstream is missing", async () => {
  await using directory = await temporaryDirectory();
  const { path } = directory;
  const both = ["tap", `unix:${path}/a`, `unix:${path}/b`];
  const clash = await sluice([...both, "--json", "-", "--pcap", "-"]);
  assertEquals(clash.code, 2);
  assertMatch(clash.stderr, /can't share standard output/);
  const nowhere = await sluice([...both, "--json", `${path}/none/a.jsonl`]);
  assertEquals(nowhere.code, 1);
  assertMatch(nowhere.stderr, /none\/a\.jsonl/);
  await assertGone(`${path}/a`);

  const proxy = spawn(both);
  await awaitNote(proxy, /Listening on/);
  assertEquals(await exchange(`unix:${path}/a`, "").catch(() => "lost"), "");
  await awaitNote(proxy, /Cannot connect to unix:.*\/b: there is no such/);
  assertEquals((await stop(proxy)).code, 143);
});

Deno.test({
  name: "cli: tap between a program and the one that started it",
  ignore: !hasProgram("cat"),
  async fn() {
    const { code, stdout, stderr } = await sluice(
      ["tap", "stdio:", "exec:cat", "--frames", "lines"],
      "hello\n",
    );
    assertEquals([code, stdout], [0, "hello\n"], stderr);
    assertMatch(stderr, /-> 5 B {2}"hello"\n/);
    assertMatch(stderr, /<- 5 B {2}"hello"\n/);
    assertMatch(stderr, /1 connection, 0 open {2}-> 1 frame, 6 B/);
  },
});

Deno.test({
  name: "cli: tap ends in silence when nobody reads its lines",
  ignore: !hasProgram("bash"),
  async fn() {
    const command = `"$DENO" run -A "$CLI" tap unix:"$DIR"/a exec:cat | ` +
      `head -n 2 >/dev/null; echo "\${PIPESTATUS[0]}"`;
    await using directory = await temporaryDirectory();
    const child = new Deno.Command("bash", {
      args: ["-c", command],
      env: { DENO: Deno.execPath(), CLI, DIR: directory.path },
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const address = `unix:${directory.path}/a`;
    await using client = await connect(address, {
      retry: { retries: 1000, maxDelay: 50 },
    });
    const writing = (async () => {
      const writer = client.writable.getWriter();
      for (let n = 0; n < 1000; n++) {
        await writer.write(encode("line\n"));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })().catch(() => {});
    const { stdout } = await child.output();
    client.abort();
    await writing;
    assertEquals(new TextDecoder().decode(stdout), "0\n");
    await assertGone(`${directory.path}/a`);
  },
});

Deno.test({
  name: "cli: tap in a terminal has colours and counters, and Ctrl-C ends it",
  ignore: !hasProgram("tmux"),
  async fn() {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    const handlers = { add: (a: number, b: number) => a + b };
    await using _server = serve(await listen(`unix:${path}/up`), handlers);
    // deno-fmt-ignore
    const command = [
      Deno.execPath(), "run", "-A", CLI, "tap",
      `unix:${path}/tap`, `unix:${path}/up`, "-f", "length", "-c", "msgpack",
    ].map((word) => `'${word}'`).join(" ");
    await using terminal = await openTmux(command);
    await terminal.shows(/0 connections, 0 open/);
    const { stdout } = await sluice([
      "call",
      `unix:${path}/tap`,
      "add",
      "1",
      "2",
    ]);
    assertEquals(stdout, "3\n");
    // deno-lint-ignore no-control-regex
    await terminal.shows(/\x1b\[36m->.*\[ 0, 1, "add", \[ 1, 2 \] \]/);
    await terminal.shows(/1 connection, 0 open {2}-> 1 frame/);
    await terminal.press("C-c");
    await terminal.shows(/exit code: 130/);
    await assertGone(`${path}/tap`);
  },
});
