// The examples of sockets run as they are.

import { fileURLToPath } from "node:url";
import { assertEquals } from "@std/assert";
import { connectTcp } from "../tcp/mod.ts";
import { channel, lines, text } from "../framing/mod.ts";
import { hasProgram, startPeer, temporaryDirectory } from "./_tools.ts";

const unix = Deno.build.os !== "windows";
const example = (name: string) =>
  fileURLToPath(new URL(`../examples/${name}`, import.meta.url));
const start = (name: string, ...args: string[]) =>
  startPeer(Deno.execPath(), ["run", "-A", example(name), ...args]);

Deno.test({
  name: "examples: the echo server answers the echo client",
  ignore: !unix,
  async fn() {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/echo.sock`;
    await using server = start("unix_echo_server.ts", path);
    assertEquals(await server.line(), `listening on unix:${path}`);
    await using client = start("unix_echo_client.ts", path, "one", "two");
    assertEquals([await client.line(), await client.line()], ["one", "two"]);
    assertEquals(await server.line(), `process ${client.pid} is there`);
    assertEquals((await client.status).code, 0);
    assertEquals(await server.line(), `process ${client.pid} is done`);
    server.process.kill("SIGINT");
    assertEquals((await server.status).code, 0);
  },
});

Deno.test({
  name: "examples: a Python peer exchanges frames with the server",
  ignore: !unix || !hasProgram("python3"),
  async fn() {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/frames.sock`;
    await using server = start("frames_server.ts", path);
    await server.line();
    await using peer = startPeer("python3", [example("frames_peer.py"), path]);
    assertEquals([await peer.line(), await peer.line()], ["6", "499500"]);
    assertEquals((await peer.status).code, 0);
  },
});

Deno.test({
  name: "examples: a daemon is replaced under its clients",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using run = start("unix_daemon.ts");
    for (
      const line of [
        "served by version 1: true",
        "served by version 2, calls meanwhile: true",
        "the call that had begun ends in version 1",
        "version 1 ended with code 0",
        "version 2 ended with code 0",
      ]
    ) assertEquals(await run.line(), line);
    assertEquals((await run.status).code, 0);
  },
});

Deno.test("examples: the chat tells each what the others say", async () => {
  await using server = start("tcp_chat.ts", "0");
  const port = Number((await server.line()).split(":").at(-1));
  const join = async (name: string) => {
    const chat = channel<string>(await connectTcp({ port }), {
      format: lines(),
      codec: text,
      timeout: 10_000,
    });
    assertEquals(await chat.receive(), "your name?");
    await chat.send(name);
    assertEquals(await chat.receive(), `welcome, ${name}`);
    return chat;
  };
  await using ann = await join("ann");
  await using bob = await join("bob");
  assertEquals(await ann.receive(), "bob: is here");
  await ann.send("hello");
  assertEquals(await bob.receive(), "ann: hello");
  await bob.close();
  assertEquals(await ann.receive(), "bob: has left");
});
