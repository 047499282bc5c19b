// What the command line does for a person: waits, keys, bytes, signals.

import { assert, assertEquals, assertMatch } from "@std/assert";
import { connect, listen } from "../mod.ts";
import { serve } from "../rpc/mod.ts";
import { awaitNote, CLI, finish, openTmux, sluice, spawn } from "./_cli.ts";
import { hasProgram, temporaryDirectory } from "./_tools.ts";

const handlers = {
  add: (a: number, b: number) => a + b,
  sleep: () => new Promise<never>(() => {}),
  async *forever() {
    for (let n = 0;; n++) {
      yield n;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  },
};

const command = (...args: string[]) =>
  [Deno.execPath(), "run", "-A", CLI, ...args]
    .map((word) => `'${word}'`).join(" ");

const inTerminal = { ignore: !hasProgram("tmux") };

Deno.test("cli: --retry waits for a server, until --timeout", async () => {
  await using directory = await temporaryDirectory();
  const address = `unix:${directory.path}/late`;
  const calling = sluice(["call", "--retry", address, "add", "-1", "-2.5"]);
  // Longer than the five tries that connect has by itself.
  await new Promise((resolve) => setTimeout(resolve, 300));
  await using _server = serve(await listen(address), handlers);
  assertEquals(await calling, { code: 0, stdout: "-3.5\n", stderr: "" });

  const never = `unix:${directory.path}/never`;
  const late = await sluice(["connect", "-r", "-t", "200", never]);
  assertEquals(late.code, 1);
  assertMatch(late.stderr, /never: timed out after 200 ms/);
});

Deno.test("cli: - is standard input, and help is help anywhere before --", async () => {
  await using directory = await temporaryDirectory();
  const address = `unix:${directory.path}/a`;
  await using _server = serve(await listen(address), handlers);
  const call = ["call", address, "add"];
  assertEquals((await sluice([...call, "-", "2"], "40\n")).stdout, "42\n");
  const twice = await sluice([...call, "-", "-"], "1");
  assertEquals(twice.code, 2);
  const broken = await sluice([...call, "-", "1"], "{");
  assertEquals(broken.code, 2);
  assertMatch(broken.stderr, /is no JSON/);
  assertMatch((await sluice([...call, "--help"])).stdout, /Usage: sluice call/);
  const text = await sluice([...call, "--", "--help", "-h"]);
  assertEquals(text.stdout, '"--help-h"\n');
});

Deno.test({
  name: "cli: listen turns a script into a service",
  ignore: !hasProgram("python3"),
  async fn() {
    await using directory = await temporaryDirectory();
    const script = `${directory.path}/worker.py`;
    await Deno.writeTextFile(
      script,
      "import sys\nfor line in sys.stdin: print(line.strip().upper(), flush=True)",
    );
    const service = spawn([
      "listen",
      "tcp:127.0.0.1:0",
      `exec:python3 ${script}`,
    ]);
    const [, address] = await awaitNote(service, /Listening on (tcp:\S+)/);
    const answers = await Promise.all(
      ["one", "two"].map((line) => sluice(["connect", address], `${line}\n`)),
    );
    assertEquals(answers.map(({ stdout }) => stdout), ["ONE\n", "TWO\n"]);
    service.kill("SIGTERM");
    await service.stdin.close();
    assertEquals((await finish(service)).code, 143);
  },
});

Deno.test({
  name: "cli: a program's exit code is told",
  ignore: !hasProgram("bash"),
  async fn() {
    const { code, stdout, stderr } = await sluice([
      "connect",
      "exec:bash -c 'echo out; exit 3'",
    ]);
    assertEquals([code, stdout], [1, "out\n"]);
    assertMatch(stderr, /it exited with code 3/);
  },
});

Deno.test("cli: a peer that vanishes in a call is told, with exit code 1", async () => {
  await using directory = await temporaryDirectory();
  const address = `unix:${directory.path}/a`;
  await using listener = await listen(address);
  const calling = sluice(["call", address, "sleep"]);
  const connection = await listener.accept();
  await connection.readable.getReader().read();
  connection.abort();
  const { code, stderr } = await calling;
  assertEquals(code, 1);
  assertMatch(stderr, /^sluice call: .*(ended|lost)/);
  assertEquals(stderr.trim().split("\n").length, 1, stderr);
});

for (const [signal, code] of [["SIGTERM", 143], ["SIGHUP", 129]] as const) {
  Deno.test(`cli: ${signal} leaves no socket, exit code ${code}`, async () => {
    await using directory = await temporaryDirectory();
    const child = spawn(["listen", `unix:${directory.path}/a`]);
    await awaitNote(child, /Listening/);
    child.kill(signal);
    await child.stdin.close();
    assertEquals((await finish(child)).code, code);
    assertEquals([...Deno.readDirSync(directory.path)], []);
  });
}

Deno.test({
  name: "cli: nohup's wish is kept",
  ignore: Deno.build.os !== "linux" || !hasProgram("nohup"),
  async fn() {
    await using directory = await temporaryDirectory();
    const address = `unix:${directory.path}/a`;
    const child = new Deno.Command("nohup", {
      args: [Deno.execPath(), "run", "-A", CLI, "listen", address],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const ended = child.output();
    const retry = { retries: 1000, maxDelay: 50 };
    await using connecting = await connect(address, { retry });
    child.kill("SIGHUP");
    const writer = connecting.writable.getWriter();
    await writer.write(new TextEncoder().encode("still here"));
    await writer.close();
    const { code, stdout } = await ended;
    assertEquals(code, 0);
    assertEquals(new TextDecoder().decode(stdout), "still here");
  },
});

Deno.test({
  name: "cli: Ctrl-C ends every wait with 130 and nothing else",
  ...inTerminal,
  async fn() {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    const address = `unix:${path}/a`;
    await using _server = serve(await listen(address), handlers);
    await using silent = await listen(`unix:${path}/silent`);
    const waits: [args: string[], ready: RegExp][] = [
      [["connect", "-r", `unix:${path}/none`], /Connecting to unix:/],
      [["call", address, "forever"], /^3$/m],
      [["call", "-r", `shm:${path}/none`, "sleep"], /Connecting to shm:/],
      [["listen", `fifo:${path}/f`], /Listening on fifo:/],
      [["describe", silent.address], /./],
    ];
    await Promise.all(waits.map(async ([args, ready]) => {
      await using terminal = await openTmux(
        `echo started; ${command(...args)}`,
      );
      await terminal.shows(ready);
      await using _connected = args[0] === "describe"
        ? await silent.accept()
        : undefined;
      await terminal.press("C-c");
      const screen = await terminal.shows(/exit code: 130/);
      assert(!/Error|Interrupted/.test(screen), screen);
    }));
    const left = [...Deno.readDirSync(path)].map(({ name }) => name).sort();
    assertEquals(left.filter((name) => !/^(a|silent)/.test(name)), []);
  },
});

Deno.test({
  name: "cli: a peer's bytes don't drive the terminal, unless it is --raw",
  ...inTerminal,
  async fn() {
    await using directory = await temporaryDirectory();
    const address = `unix:${directory.path}/a`;
    await using listener = await listen(address);
    const answer = async () => {
      await using connection = await listener.accept();
      const writer = connection.writable.getWriter();
      await writer.write(
        new TextEncoder().encode("+OK\r\n\x1b[31mred\x1b[0m\x07é\n"),
      );
      await writer.close();
    };
    {
      const answering = answer();
      await using terminal = await openTmux(command("connect", address));
      await terminal.shows(/^\+OK\n\\x1b\[31mred\\x1b\[0m\\x07é$/m);
      await terminal.shows(/exit code: 0/);
      await answering;
    }
    const answering = answer();
    await using terminal = await openTmux(command("connect", "--raw", address));
    // deno-lint-ignore no-control-regex
    await terminal.shows(/\x1b\[31mred/);
    await answering;
  },
});

Deno.test({
  name: "cli: NO_COLOR takes the colours away",
  ...inTerminal,
  async fn() {
    await using directory = await temporaryDirectory();
    const address = `unix:${directory.path}/a`;
    await using _server = serve(await listen(address), handlers);
    await using terminal = await openTmux(
      `NO_COLOR=1 ${command("describe", address)}`,
    );
    const screen = await terminal.shows(/exit code: 0/);
    assert(!screen.includes("\x1b"), JSON.stringify(screen));
  },
});

Deno.test({
  name: "cli: Tab completes in an interactive bash, installed as sluice",
  ignore: !hasProgram("tmux") || !hasProgram("bash"),
  async fn() {
    await using directory = await temporaryDirectory();
    const { path } = directory;
    await Deno.writeTextFile(
      `${path}/sluice`,
      `#!/bin/sh\nexec ${command()} "$@"\n`,
      { mode: 0o755 },
    );
    await Deno.writeTextFile(
      `${path}/rc`,
      `PATH="${path}:$PATH"; PS1='> '; source <(sluice completions bash); ` +
        `echo ready\n`,
    );
    await using terminal = await openTmux(`bash --rcfile ${path}/rc -i`);
    await terminal.shows(/ready/);
    await terminal.press("sluice conn", "Tab");
    await terminal.shows(/> sluice connect/);
    await terminal.press("--fra", "Tab", "vari", "Tab");
    await terminal.shows(/--frames varint/);
    await terminal.press("uni", "Tab", `${path}/slu`, "Tab");
    await terminal.shows(new RegExp(`unix:${path}/sluice`));
  },
});

Deno.test({
  name: "cli: completions of zsh start its completion system, and are in it",
  ignore: !hasProgram("zsh"),
  async fn() {
    const { stdout } = await sluice(["completions", "zsh"]);
    await using directory = await temporaryDirectory();
    const run = await new Deno.Command("zsh", {
      args: ["-f", "-c", `${stdout}\nprint -r -- $_comps[sluice]`],
      env: { ZDOTDIR: directory.path }, // compinit writes a file there
    }).output();
    assert(run.success, new TextDecoder().decode(run.stderr));
    assertEquals(new TextDecoder().decode(run.stdout), "_sluice\n");
  },
});
