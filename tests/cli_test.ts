// The command line, run as a person runs it.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { connect, listen } from "../mod.ts";
import { channel, msgpack } from "../framing/mod.ts";
import { SharedMemory } from "../shm/mod.ts";
import { serve } from "../rpc/mod.ts";
import { certificates, hasOpenssl } from "./_certificates.ts";
import { awaitNote, CLI, finish, openTmux, sluice, spawn } from "./_cli.ts";
import { hasProgram, startPeer, temporaryDirectory } from "./_tools.ts";

const encode = (text: string) => new TextEncoder().encode(text);

Deno.test("cli: help, its exit codes and the version", async () => {
  const overview = await sluice(["help"]);
  assertEquals([overview.code, overview.stderr], [0, ""]);
  assertMatch(overview.stdout, /Usage: sluice <command>/);
  for (const name of overview.stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)) {
    const { code, stdout } = await sluice(["help", name[1]]);
    assertEquals(code, 0);
    assertMatch(stdout, new RegExp(`Usage: sluice ${name[1]}`));
    assert(!/.{100}/.test(stdout), `too wide:\n${stdout}`);
  }
  assertEquals((await sluice([])).code, 2);
  assertMatch((await sluice(["--version"])).stdout, /^sluice \d+\.\d+\.\d+\n$/);
});

const MISTAKES: [args: string[], message: RegExp][] = [
  [["frobnicate"], /unknown command "frobnicate": expected listen, connect/],
  [["connect"], /<address> is missing/],
  [["connect", "a:b", "c:d", "e:f"], /unexpected argument "e:f"/],
  [["connect", "what:ever"], /expected one of unix:/],
  [["connect", "--bogus", "unix:/a"], /Unknown option '--bogus'/],
  [["connect", "unix:/a", "--timeout", "soon"], /--timeout is "soon"/],
  [["connect", "unix:/a", "--frames", "bogus"], /expected one of length/],
  [["connect", "unix:/a", "--codec", "text"], /--codec needs --frames/],
  [["listen", "unix:/a", "--mode", "9"], /expected octal digits/],
  [["listen", "tls:localhost:0", "--cert", "a"], /go together/],
  [["shm", "frob"], /unknown word "frob": expected list, prune, peek/],
  [["shm", "peek"], /needs a name/],
  [["shm", "rm", "name"], /unknown word "rm": expected list, prune, peek/],
  [["completions", "csh"], /unknown shell "csh"/],
];

Deno.test("cli: a mistake is named, with exit code 2 and a hint", async () => {
  await Promise.all(MISTAKES.map(async ([args, message]) => {
    const { code, stdout, stderr } = await sluice(args);
    assertEquals([code, stdout], [2, ""], stderr);
    assertMatch(stderr, message);
    assertMatch(stderr, /Try: sluice help/);
  }));
});

Deno.test("cli: what fails has exit code 1 and says why", async () => {
  await using directory = await temporaryDirectory();
  const { code, stderr } = await sluice([
    "connect",
    `unix:${directory.path}/none.sock`,
  ]);
  assertEquals(code, 1);
  assertMatch(stderr, /^sluice connect: Cannot connect to unix:.*none\.sock/);
});

Deno.test("cli: listen and connect join two pipes", async () => {
  await using directory = await temporaryDirectory();
  const address = `unix:${directory.path}/a.sock`;
  const listening = spawn(["listen", address]);
  await awaitNote(listening, /Listening on unix:/);
  const writer = listening.stdin.getWriter();
  await writer.write(encode("from the listener\n"));
  await writer.close();
  const client = await sluice(["connect", address], "from the client\n");
  assertEquals(client, {
    code: 0,
    stdout: "from the listener\n",
    stderr: "",
  });
  const server = await finish(listening);
  assertEquals([server.code, server.stdout], [0, "from the client\n"]);
});

Deno.test("cli: connect sends on while the peer takes it, though that has ended its own side", async () => {
  await using directory = await temporaryDirectory();
  await using listener = await listen(`unix:${directory.path}/a.sock`);
  const client = spawn(["connect", listener.address]);
  await using server = await listener.accept();
  await server.writable.close();
  const received = new Response(server.readable as BodyInit).text();
  const writer = client.stdin.getWriter();
  for (let piece = 0; piece < 4; piece++) { // longer than its last words
    await writer.write(encode(`${piece}\n`));
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  await writer.close();
  assertEquals(await received, "0\n1\n2\n3\n");
  assertEquals((await finish(client)).code, 0);
});

Deno.test({
  name: "cli: output that can't be written is named as such",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const { code, stderr } = await new Deno.Command("sh", {
      args: ["-c", '"$0" run -A "$1" help > /dev/full', Deno.execPath(), CLI],
    }).output();
    assertEquals(code, 1);
    assertMatch(
      new TextDecoder().decode(stderr),
      /^sluice: Cannot write the output: No space left/m,
    );
  },
});

Deno.test("cli: connect reads JSON lines and prints messages of MessagePack", async () => {
  await using directory = await temporaryDirectory();
  const address = `unix:${directory.path}/a.sock`;
  await using listener = await listen(address);
  const running = sluice(
    ["connect", "-f", "length", "-c", "msgpack", address],
    '{"a":[1,null]}\nnot json\n{"$base64":"AQI="}\n',
  );
  await using peer = channel<unknown>(await listener.accept(), {
    codec: msgpack,
  });
  assertEquals(await peer.receive(), { a: [1, null] });
  assertEquals(await peer.receive(), new Uint8Array([1, 2]));
  await peer.send({ bytes: new Uint8Array([3]), big: 2n ** 60n });
  await peer.send("\x1b[31mred");
  await peer.close();
  const { code, stdout, stderr } = await running;
  assertEquals(code, 1, stderr); // a script has to know that a line is missing
  assertEquals(
    stdout,
    '{"bytes":{"$base64":"Aw=="},"big":{"$bigint":"1152921504606846976"}}\n' +
      '"\\u001b[31mred"\n',
  );
  assertMatch(stderr, /Not sent: "not json" is no JSON/);
  assertMatch(stderr, /sluice connect: 1 of the lines could not be sent/);
});

Deno.test("cli: listen with a second address is a proxy for many", async () => {
  await using directory = await temporaryDirectory();
  await using upstream = await listen(`unix:${directory.path}/up.sock`);
  const proxy = spawn(["listen", "tcp:127.0.0.1:0", upstream.address]);
  const [, address] = await awaitNote(proxy, /Listening on (tcp:\S+)/);
  for (let count = 0; count < 3; count++) {
    await using ours = await connect(address);
    await using theirs = await upstream.accept();
    const writer = ours.writable.getWriter();
    await writer.write(encode(`hello ${count}`));
    await writer.close();
    const text = await new Response(theirs.readable as BodyInit).text();
    assertEquals(text, `hello ${count}`);
  }
  proxy.kill("SIGTERM");
  const writer = proxy.stdin.getWriter();
  await writer.close();
  assertEquals((await finish(proxy)).code, 143);
});

const handlers = {
  add: (a: number, b: number) => a + b,
  bytes: (data: Uint8Array) => data,
  fail: () => {
    throw new TypeError("not like this");
  },
  async *count(to: number) {
    for (let n = 0; n < to; n++) yield { n };
  },
  sleep: () => new Promise<never>(() => {}),
};

Deno.test("cli: describe and call reach a server", async () => {
  await using directory = await temporaryDirectory();
  const address = `unix:${directory.path}/rpc.sock`;
  await using _server = serve(await listen(address), handlers);
  assertMatch(
    (await sluice(["describe", address])).stdout,
    /^add {2}2 parameters$/m,
  );
  const json = await sluice(["describe", "--json", address]);
  assertEquals(JSON.parse(json.stdout).length, 5);

  const sum = await sluice(["call", address, "add", "20", "22"]);
  assertEquals(sum, { code: 0, stdout: "42\n", stderr: "" });
  const text = await sluice(["call", address, "add", "a", "b"]);
  assertEquals(text.stdout, '"ab"\n');
  const bytes = '{"$base64":"AQI="}';
  assertEquals(
    (await sluice(["call", address, "bytes", bytes])).stdout,
    `${bytes}\n`,
  );
  assertEquals(
    (await sluice(["call", address, "count", "3"])).stdout,
    '{"n":0}\n{"n":1}\n{"n":2}\n',
  );
  for (
    const [key, value] of [["base64", "!!"], ["bigint", "x"], ["date", "y"]]
  ) {
    const argument = `{"$${key}":"${value}"}`;
    const refused = await sluice(["call", address, "bytes", argument]);
    assertEquals(refused.code, 2);
    assertMatch(
      refused.stderr,
      new RegExp(`"${value}" is no value of \\$${key}`),
    );
  }
  const failed = await sluice(["call", address, "fail"]);
  assertEquals(failed.code, 1);
  assertMatch(
    failed.stderr,
    /sluice call: TypeError: not like this \(handler-error\)/,
  );
  const missing = await sluice(["call", address, "constructor"]);
  assertMatch(missing.stderr, /method-not-found/);
  const late = await sluice(["call", "-d", "50", address, "sleep"]);
  assertEquals(late.code, 1);
  assertMatch(late.stderr, /timed out|deadline/i);
});

Deno.test({
  name: "cli: a reader that has enough ends it without a word",
  ignore: !hasProgram("head"),
  async fn() {
    await using directory = await temporaryDirectory();
    const address = `unix:${directory.path}/rpc.sock`;
    await using _server = serve(await listen(address), handlers);
    const command = `"$DENO" run -A "$CLI" call "$ADDRESS" count 1000000 | ` +
      `head -n 1; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await new Deno.Command("bash", {
      args: ["-c", command],
      env: { DENO: Deno.execPath(), CLI, ADDRESS: address, NO_COLOR: "1" },
    }).output();
    assertEquals(new TextDecoder().decode(stderr), "");
    assertEquals(new TextDecoder().decode(stdout), '{"n":0}\n0\n');
  },
});

Deno.test({
  name: "cli: shm lists, peeks at and prunes segments",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const name = `sluice-cli-${crypto.randomUUID()}`;
    using memory = SharedMemory.create(name, { size: 4096 });
    memory.bytes.set(encode("hello, reader"));
    const { stdout } = await sluice(["shm", "list", "--json"]);
    const entries = JSON.parse(stdout) as { name: string; ownerPid: number }[];
    assertEquals(
      entries.find((entry) => entry.name === name)?.ownerPid,
      Deno.pid,
    );
    assertMatch((await sluice(["shm", "list"])).stdout, new RegExp(name));
    assertEquals(
      (await sluice(["shm", "peek", name, "--length", "16"])).stdout,
      "00000000  68 65 6c 6c 6f 2c 20 72  65 61 64 65 72 00 00 00  " +
        "|hello, reader...|\n",
    );
    const beyond = await sluice(["shm", "peek", name, "--offset", "99999999"]);
    assertMatch(beyond.stderr, /behind the end/);

    // A maker that is killed leaves a segment, which prune removes.
    const orphan = `sluice-cli-${crypto.randomUUID()}`;
    const shm = new URL("../shm/mod.ts", import.meta.url).href;
    const script = `import { SharedMemory } from ${JSON.stringify(shm)};` +
      `SharedMemory.create(${JSON.stringify(orphan)}, { size: 1 });` +
      `console.log("made"); await new Promise((done) => setTimeout(done, 1e6));`;
    await using maker = startPeer(Deno.execPath(), ["eval", script]);
    await maker.line();
    await maker.kill();
    const pruned = await sluice(["shm", "prune"]);
    assertMatch(pruned.stdout, new RegExp(orphan));
    assert(!pruned.stdout.includes(name), "pruned a living maker's segment");
  },
});

Deno.test({
  name: "cli: completions of bash and fish parse and complete",
  ignore: !hasProgram("bash"),
  async fn() {
    const { stdout } = await sluice(["completions", "bash"]);
    const complete = async (line: string) => {
      const words = line.split(" ");
      const { stdout: out, stderr } = await new Deno.Command("bash", {
        args: [
          "-c",
          `compopt() { :; }\n${stdout}\nCOMP_LINE="$1" COMP_POINT=\${#1} ` +
          `COMP_CWORD=$2; shift 2; COMP_WORDS=("$@"); _sluice; ` +
          `printf '%s\\n' "\${COMPREPLY[@]}"`,
          "bash",
          line,
          String(words.length - 1),
          ...words,
        ],
      }).output();
      assertEquals(new TextDecoder().decode(stderr), "");
      return new TextDecoder().decode(out).trim().split("\n");
    };
    assertEquals(await complete("sluice conn"), ["connect"]);
    assertEquals(await complete("sluice shm pr"), ["prune"]);
    assertEquals(await complete("sluice connect uni"), ["unix:"]);
    assertEquals(await complete("sluice connect --frames var"), ["varint"]);
    const fish = await sluice(["completions", "fish"]);
    assertMatch(fish.stdout, /complete -c sluice/);
  },
});

const inTerminal = { ignore: !hasProgram("tmux") };
const quoted = (words: string[]) => words.map((word) => `'${word}'`).join(" ");
const command = (...args: string[]) =>
  quoted([Deno.execPath(), "run", "-A", CLI, ...args]);

Deno.test({
  name: "cli: two terminals talk by keys, and Ctrl-C cleans up",
  ...inTerminal,
  async fn() {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/a.sock`;
    await using one = await openTmux(
      command("listen", "--frames", "lines", `unix:${path}`),
    );
    await one.shows(/Listening on unix:/);
    await using two = await openTmux(
      command("connect", "--frames", "lines", `unix:${path}`),
    );
    await two.press("ping from two", "Enter");
    await one.shows(/ping from two/);
    await one.press("pong from one", "Enter");
    await two.shows(/pong from one/);
    await two.press("C-c");
    await two.shows(/exit code: 130/);
    await one.shows(/exit code: [01]/);
  },
});

Deno.test({
  name: "cli: Ctrl-C ends a listener that waits, and removes its socket",
  ...inTerminal,
  async fn() {
    await using directory = await temporaryDirectory();
    const path = `${directory.path}/a.sock`;
    await using terminal = await openTmux(
      command("listen", `unix:${path}`, "tcp:127.0.0.1:1"),
    );
    await terminal.shows(/Listening on unix:/);
    assert((await Deno.lstat(path)).isSocket);
    await terminal.press("C-c");
    await terminal.shows(/exit code: 130/);
    const left = [...Deno.readDirSync(directory.path)].map(({ name }) => name);
    assertEquals(left, []);
  },
});

Deno.test({
  name: "cli: colours are for a terminal only",
  ...inTerminal,
  async fn() {
    await using directory = await temporaryDirectory();
    const address = `unix:${directory.path}/rpc.sock`;
    await using _server = serve(await listen(address), handlers);
    await using terminal = await openTmux(command("describe", address));
    const screen = await terminal.shows(/exit code: 0/);
    assert(screen.includes("\x1b[1madd"), JSON.stringify(screen));
    const { stdout } = await sluice(["describe", address]);
    assert(!stdout.includes("\x1b"));
  },
});

Deno.test({
  name: "cli: --ca trusts a certificate of one's own (needs openssl)",
  ignore: !hasOpenssl(),
  async fn() {
    const { ca, server: { cert, key } } = await certificates();
    await using directory = await temporaryDirectory();
    const file = `${directory.path}/ca.pem`;
    await Deno.writeTextFile(file, ca);
    const listener = await listen("tls:127.0.0.1:0", { tls: { cert, key } });
    await using _server = serve(listener, handlers);
    const address = listener.address.replace("127.0.0.1", "localhost");
    const unknown = await sluice(["call", address, "add", "1", "2"]);
    assertEquals(unknown.code, 1);
    assertMatch(unknown.stderr, /UnknownIssuer/);
    const sum = await sluice(["call", "--ca", file, address, "add", "1", "2"]);
    assertEquals(sum, { code: 0, stdout: "3\n", stderr: "" });
  },
});
