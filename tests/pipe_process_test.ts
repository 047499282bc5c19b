import { fileURLToPath } from "node:url";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { ConnectionClosedError } from "../duplex.ts";
import { connect, listen } from "../address.ts";
import { connectExec, pipeline, PipelineError, spawn } from "../pipe/mod.ts";
import { splitWords } from "../pipe/_words.ts";
import { bytes, channel } from "../framing/mod.ts";
import { openStdinOf } from "../_libc/child_pipe.ts";
import { closeDescriptor, setPipeCapacity } from "../_libc/pipe.ts";
import * as capacity from "../pipe/capacity.ts";
import { hasFfi, noPosix, untilGone } from "./_pipe.ts";
import { countDescriptors, hasProgram, temporaryDirectory } from "./_tools.ts";
import { sessionCommand } from "../pipe/_session.ts";

const ignore = noPosix;
const ended = new TextEncoder().encode("hello\n");

Deno.test({
  name: "spawn gives output, errors and status in any order",
  ignore,
  async fn() {
    const script = "head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero";
    const start = () =>
      spawn(["sh", "-c", script], { stderr: "piped", timeout: 20_000 });
    const size = async (stream: ReadableStream<Uint8Array>) =>
      (await new Response(stream as BodyInit).arrayBuffer()).byteLength;
    const first = start();
    assertEquals((await first.bytes()).length, 3_000_000);
    assertEquals(await size(first.stderr), 3_000_000);
    const second = start();
    assertEquals(await size(second.stderr), 3_000_000);
    assertEquals((await second.result).success, true);
    assertEquals(await size(second.readable), 3_000_000);
    assertThrows(() => second.stderr, TypeError, "something else reads it");
  },
});

Deno.test({
  name: "spawn takes more input than a pipe holds before any output is read",
  ignore,
  async fn() {
    const child = spawn(["cat"], {
      stdin: { from: "piped" },
      timeout: 20_000,
    });
    const writer = child.stdin.getWriter();
    await writer.write(new Uint8Array(4_000_000));
    await writer.close();
    assertEquals((await child.bytes()).length, 4_000_000);
  },
});

Deno.test({
  name: "spawn says that a program reads no more",
  ignore,
  async fn() {
    const child = spawn(["true"], { stdin: { from: "piped" } });
    const writer = child.stdin.getWriter();
    writer.closed.catch(() => {});
    await child.result;
    await assertRejects(
      () => writer.write(new Uint8Array(1_000_000)),
      Deno.errors.BrokenPipe,
      "reads no more",
    );
  },
});

Deno.test({
  name: "spawn says to who writes why it ended the program",
  ignore,
  async fn() {
    const options = { stdin: { from: "piped" }, maxOutput: 100_000 } as const;
    for (
      const [child, message] of [
        [spawn(["cat"], options), "Cannot write to cat: its output exceeds"],
        [
          pipeline(["cat"], ["tee"]).with(options).start(),
          "Cannot write to cat: tee failed, its output exceeds",
        ],
      ] as const
    ) {
      const error = assertRejects(() => child.result, PipelineError);
      const writer = child.stdin.getWriter();
      writer.closed.catch(() => {});
      await assertRejects(
        () => writer.write(new Uint8Array(10_000_000)),
        Deno.errors.BrokenPipe,
        `${message} maxOutput 100000`,
      );
      assertEquals((await error).code, "max-output");
    }
  },
});

Deno.test({
  name: "spawn ends a program that fills a stderr nobody reads",
  ignore,
  async fn() {
    const error = await assertRejects(
      () =>
        spawn(["sh", "-c", "yes >&2"], { stderr: "piped", maxOutput: 10_000 })
          .text(),
      PipelineError,
    );
    assertEquals(error.code, "max-output");
    assertStringIncludes(error.message, "its stderr exceeds maxOutput");
  },
});

Deno.test({
  name: "spawn passes cwd, env and clearEnv",
  ignore,
  async fn() {
    const text = await spawn(["/bin/sh", "-c", "pwd; echo $A$HOME"], {
      cwd: "/",
      env: { A: "b" },
      clearEnv: true,
    }).text();
    assertEquals(text, "/\nb\n");
  },
});

Deno.test({
  name: "spawn leads a process group, unless group is off",
  ignore: ignore || Deno.build.os !== "linux",
  async fn() {
    const command = ["cut", "-d", " ", "-f", "5", "/proc/self/stat"];
    const { stdout } = await new Deno.Command("cut", {
      args: command.slice(1),
    }).output();
    const here = new TextDecoder().decode(stdout);
    assertEquals(await spawn(command, { group: false }).text(), here);
    const child = spawn(command);
    assertEquals(Number(await child.text()), child.pid);
  },
});

Deno.test({
  name: "spawn refuses to give what is not piped",
  ignore,
  async fn() {
    const child = spawn(["true"], { stdout: "null" });
    await assertRejects(() => child.text(), TypeError, '"null"');
    assertThrows(() => child.stdin, TypeError, "the option stdin is not");
    assertThrows(() => child.stderr, TypeError, "the option stderr is not");
    assertEquals((await child.result).success, true);
  },
});

Deno.test({
  name: "spawn of what is not there fails in every way to read it",
  ignore,
  async fn() {
    const child = spawn(["sluice-none"]);
    assertEquals(child.pid, undefined);
    const error = await assertRejects(() => child.text(), PipelineError);
    assertEquals(error.code, "not-found");
    assertEquals(error.exitCode, null);
    await assertRejects(() => child.result, PipelineError);
    const result = await spawn(["sluice-none"], { throwOnFailure: false })
      .result;
    assertEquals(result.error?.code, "not-found");
  },
});

Deno.test({
  name: "spawn puts what a bug report needs into its error",
  ignore,
  async fn() {
    const error = await assertRejects(
      () => spawn(["sh", "-c", "echo first >&2; echo last >&2; exit 7"]).text(),
      PipelineError,
    );
    assertEquals(
      error.message,
      'Cannot finish sh -c "echo first >&2; echo last >&2; exit 7": it ' +
        'exited with code 7, its stderr ends with "first\\nlast"',
    );
    assert(error.duration > 0);
    assertEquals(error.stages.length, 1);
  },
});

Deno.test("splitWords keeps quotes and backslashes, and expands nothing", () => {
  assertEquals(splitWords("python3 worker.py"), ["python3", "worker.py"]);
  assertEquals(splitWords(`  a  'b c'"d $E" \\"f ''`), [
    "a",
    "b cd $E",
    '"f',
    "",
  ]);
  assertEquals(splitWords(`"a\\"b\\\\c\\n"`), ['a"b\\c\\n']);
  assertThrows(() => splitWords("a 'b"), TypeError, "has no end");
  assertThrows(() => splitWords("a \\"), TypeError, "backslash");
  assertThrows(() => splitWords("  "), TypeError, "it is empty");
});

Deno.test("splitWords gives back what was quoted", () => {
  const letters = ["a", " ", "'", '"', "\\", "$", "\n", "é"];
  for (let round = 0; round < 500; round++) {
    const words = Array.from(
      { length: 1 + round % 4 },
      () =>
        Array.from(
          { length: Math.floor(Math.random() * 6) },
          () => letters[Math.floor(Math.random() * letters.length)],
        ).join(""),
    );
    const single = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`);
    assertEquals(splitWords(single.join(" ")), words);
    const double = words.map((word) => `"${word.replace(/["\\]/g, "\\$&")}"`);
    assertEquals(splitWords(double.join("\t")), words);
  }
});

Deno.test({
  name: "exec: is an address: a Python program at the other end",
  ignore: ignore || !hasProgram("python3"),
  async fn() {
    const script = "import sys\nfor line in sys.stdin:\n" +
      " print(line.upper(), end='', flush=True)";
    await using connection = await connect(`exec:python3 -c "${script}"`);
    assert(connection.remote.startsWith("exec:python3 -c"));
    const writer = connection.writable.getWriter();
    await writer.write(ended);
    const reader = connection.readable.getReader();
    assertEquals(
      new TextDecoder().decode((await reader.read()).value),
      "HELLO\n",
    );
    await writer.close();
    assertEquals((await reader.read()).done, true);
    await assertRejects(
      () => listen("exec:cat"),
      TypeError,
      "can only be connected to",
    );
  },
});

Deno.test({
  name: "exec: tells how a program died, with the tail of its stderr",
  ignore,
  async fn() {
    await using connection = await connectExec({
      command: ["sh", "-c", "read line; echo no worker >&2; exit 9"],
      stderr: "collect",
    });
    const reading = connection.readable.getReader().read();
    await connection.writable.getWriter().write(ended);
    const error = await assertRejects(() => reading, ConnectionClosedError);
    assertEquals(error.code, "lost");
    assertInstanceOf(error.cause, PipelineError);
    assertEquals(error.cause.exitCode, 9);
    assertStringIncludes(error.cause.message, "no worker");
    assertEquals((await connection.status).stderr, "no worker\n");
  },
});

Deno.test({
  name: "exec: tells that a program was killed",
  ignore,
  async fn() {
    await using connection = await connectExec({ command: ["cat"] });
    const reading = connection.readable.getReader().read();
    Deno.kill(connection.pid, "SIGKILL");
    const error = await assertRejects(() => reading, ConnectionClosedError);
    assertEquals((error.cause as PipelineError).signal, "SIGKILL");
    await assertRejects(() => connection.closed, ConnectionClosedError);
  },
});

Deno.test({
  name: "exec: keeps stderr apart",
  ignore,
  async fn() {
    await using connection = await connectExec({
      command: ["sh", "-c", "echo log >&2; cat"],
      stderr: "piped",
    });
    const writer = connection.writable.getWriter();
    await writer.write(ended);
    await writer.close();
    assertEquals(
      await new Response(connection.readable as BodyInit).text(),
      "hello\n",
    );
    assertEquals(
      await new Response(connection.stderr as BodyInit).text(),
      "log\n",
    );
  },
});

Deno.test({
  name: "exec: ends a program that does not end by itself, and its children",
  ignore,
  async fn() {
    const connection = await connectExec({
      command: ["sh", "-c", "trap '' TERM; sleep 60 & echo $!; wait"],
      exitTimeout: 20,
      killTimeout: 20,
    });
    const reader = connection.readable.getReader();
    const pid = Number(new TextDecoder().decode((await reader.read()).value));
    await connection.close();
    assertEquals((await connection.status).signal, "SIGKILL");
    await untilGone(pid);
  },
});

Deno.test({
  name: "exec: refuses what can't be started",
  ignore,
  async fn() {
    const missing = await assertRejects(
      () => connect("exec:sluice-none a"),
      PipelineError,
      "Cannot connect to exec:sluice-none a",
    );
    assertEquals(missing.code, "not-found");
    const error = await assertRejects(
      () => connect("exec:ls", { exec: { cwd: "/sluice-none" } }),
      PipelineError,
    );
    assertEquals(error.code, "bad-cwd");
    await assertRejects(() => connect("exec:"), TypeError, "nothing follows");
    await assertRejects(() => connect("exec:'a"), TypeError, "has no end");
    await assertRejects(
      () => connectExec({ command: ["ls"], signal: AbortSignal.abort("no") }),
    ).catch((error) => assertEquals(error.message.includes("no"), true));
  },
});

Deno.test({
  name: "stdio: keeps console.log out of the stream, and opens once",
  ignore,
  async fn() {
    const script = fileURLToPath(
      new URL("peers/stdio_worker.ts", import.meta.url),
    );
    await using connection = await connectExec({
      command: [Deno.execPath(), "run", "--no-check", script],
      stderr: "piped",
    });
    const writer = connection.writable.getWriter();
    await writer.write(ended);
    await writer.close();
    const text = await new Response(connection.readable as BodyInit).text();
    assertEquals(text, "got 6 bytes, Busy\n");
    assertEquals(
      await new Response(connection.stderr as BodyInit).text(),
      "a stray line\n",
    );
    await assertRejects(() => connect("stdio:x"), TypeError, "nothing may");
  },
});

Deno.test({
  name: "setPipeCapacity names the limit where it is exceeded",
  ignore: Deno.build.os !== "linux" || !hasFfi,
  async fn() {
    assertThrows(() => setPipeCapacity(0, 2 ** 33), RangeError, "pipeCapacity");
    // As a user of its own: root may exceed the limit in some places.
    const error = await assertRejects(() =>
      spawn(["true"], { pipeCapacity: 2 ** 31 }).text()
    );
    assertStringIncludes(String(error), "/proc/sys/fs/pipe-max-size");
  },
});

Deno.test({
  name: "a command is started by setsid(1) only where it is sure to start",
  ignore: Deno.build.os !== "linux" || !hasProgram("setsid"),
  async fn() {
    await using directory = await temporaryDirectory();
    const file = async (name: string, text: string, mode = 0o755) => {
      const path = `${directory.path}/${name}`;
      await Deno.writeTextFile(path, text, { mode });
      return path;
    };
    const started = (...command: string[]) =>
      sessionCommand(command, undefined, false)?.slice(1);
    assertEquals(started("cat", "-u"), ["cat", "-u"]);
    const script = await file("script", "#!/bin/sh\necho started\n");
    assertEquals(started(script), [script]);
    assertEquals(await spawn([script]).text(), "started\n");
    for (
      const path of [
        "no such program",
        "-c",
        "./relative",
        directory.path,
        await file("data", "no program"),
        await file("locked", "#!/bin/sh\n", 0o644),
        await file("lost", `#!${directory.path}/none\n`),
        await file("twice", `#!${script}\n`),
        await file("elsewhere", "\x7fELF" + "\0".repeat(60)),
      ]
    ) assertEquals(started(path), undefined, path);
    assertEquals(sessionCommand(["cat"], { PATH: "/bin" }, false), undefined);
    assertEquals(sessionCommand(["cat"], {}, true), undefined);
    // Ended while it may not lead its group yet: the signal is not lost.
    for (let count = 0; count < 20; count++) {
      const child = spawn(["sleep", "60"], { throwOnFailure: false });
      child.kill("SIGKILL");
      assertEquals((await child.result).signal, "SIGKILL");
    }
  },
});

Deno.test({
  name: "pipeCapacity and setPipeCapacity take programs",
  ignore: Deno.build.os !== "linux" || !hasFfi || !hasProgram("python3"),
  async fn() {
    const before = countDescriptors();
    // The child tells what its own descriptors hold, before and after.
    const script = `import fcntl, sys
tell = lambda: print(fcntl.fcntl(0, 1032), fcntl.fcntl(1, 1032), flush=True)
for line in sys.stdin: tell()`;
    const command = ["python3", "-c", script];
    await using child = spawn(command, { stdin: { from: "piped" } });
    assertEquals(capacity.pipeCapacity(child), 65536);
    assertEquals(capacity.setPipeCapacity(child, 200_000), 262144);
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("\n"));
    await writer.close();
    assertEquals(await child.text(), "262144 262144\n");
    assertThrows(
      () => capacity.pipeCapacity(child),
      Deno.errors.BadResource,
      `process ${child.pid} has ended`,
    );

    const output = spawn(["sleep", "10"]);
    assertEquals(capacity.setPipeCapacity(output, 100_000), 131072);
    await output[Symbol.asyncDispose]();
    await using silent = spawn(["sleep", "10"], { stdout: "null" });
    assertThrows(() => capacity.pipeCapacity(silent), TypeError, "piped");
    await silent[Symbol.asyncDispose]();

    await using connection = await connectExec({ command: ["cat"] });
    assertEquals(capacity.setPipeCapacity(connection, 131072), 131072);
    assertEquals(capacity.pipeCapacity(connection), 131072);
    await connection.close();
    assertEquals(countDescriptors(), before);
  },
});

Deno.test({
  name: "exec: uses only the runtime's own pipes for its calls",
  ignore: Deno.build.os !== "linux" || !hasFfi,
  async fn() {
    await using directory = await temporaryDirectory();
    const before = countDescriptors();
    const file = `${directory.path}/file`;
    const start = async (script: string) => {
      const child = new Deno.Command("sh", {
        args: ["-c", `${script}; exec sleep 60`, "sh", file],
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const name = () => Deno.readTextFileSync(`/proc/${child.pid}/comm`);
      while (name() !== "sleep\n") await new Promise((go) => setTimeout(go, 1));
      return child;
    };
    const left = await start(":");
    closeDescriptor(openStdinOf(left.pid)!);
    const moved = await start('exec 0<>"$1" 1>"$1"');
    assertEquals(openStdinOf(moved.pid), undefined);
    const turned = await start("exec 0<&2");
    assertEquals(openStdinOf(turned.pid), undefined);
    for (const child of [left, moved, turned]) {
      child.kill("SIGKILL");
      await child.status;
      assertEquals(openStdinOf(child.pid), undefined);
      await child.stdin.abort();
      await child.stdout.cancel();
      await child.stderr.cancel();
    }
    assertEquals(countDescriptors(), before);
  },
});

Deno.test({
  name: "exec: a channel's frames of every length come back",
  ignore,
  async fn() {
    const before = hasFfi && countDescriptors();
    {
      await using connection = await connectExec({ command: ["cat"] });
      await using frames = channel<Uint8Array>(connection, { codec: bytes });
      for (let round = 0; round < 2; round++) {
        for (
          const length of [0, 1, 64, 65531, 65532, 65536, 300_000, 2 << 20]
        ) {
          const message = crypto.getRandomValues(
            new Uint8Array(Math.min(length, 65536)),
          );
          const sent = new Uint8Array(length);
          for (let at = 0; at < length; at += 65536) {
            sent.set(message.subarray(0, length - at), at);
          }
          const sending = frames.send(sent);
          assertEquals(await frames.receive(), sent);
          await sending;
        }
      }
      // More than the pipes hold, both ways at once.
      const many = Array.from(
        { length: 40 },
        (_, index) => frames.send(new Uint8Array(50_000).fill(index)),
      );
      for (let index = 0; index < 40; index++) {
        const message = await frames.receive();
        assertEquals([message.length, message[0]], [50_000, index]);
      }
      await Promise.all(many);
    }
    assertEquals(hasFfi && countDescriptors(), before);
  },
});

Deno.test({
  name: "everything runs without --allow-ffi as well",
  ignore: ignore || !hasFfi,
  async fn() {
    const files = [
      "pipe_pipeline_test.ts",
      "pipe_process_test.ts",
      "pipe_conformance_test.ts",
      "pipe_buffered_writer_test.ts",
      "_pipe_reopened.ts",
    ]
      .map((file) => fileURLToPath(new URL(file, import.meta.url)));
    const result = await spawn([
      ...[Deno.execPath(), "test", "--no-check", "--no-prompt"],
      ...["--allow-all", "--deny-ffi"],
      ...files,
    ], { throwOnFailure: false, timeout: 120_000 }).output();
    assert(
      result.success,
      new TextDecoder().decode(result.stdout) + result.stages[0].stderr,
    );
  },
});

Deno.test({
  name: "connectExec tells who writes how the program ended",
  ignore,
  async fn() {
    const command = ["sh", "-c", "exit 3"];
    const connection = await connectExec({ command });
    assertEquals((await connection.status).code, 3);
    const writer = connection.writable.getWriter();
    const error = await assertRejects(
      async () => {
        for (;;) await writer.write(new Uint8Array(100));
      },
      ConnectionClosedError,
      "it exited with code 3",
    );
    assertInstanceOf(error.cause, PipelineError);
    assertEquals(error.cause.exitCode, 3);
    writer.releaseLock();
    connection.abort();
  },
});

Deno.test({
  name: "examples: a supervisor replaces a killed worker and loses no job",
  ignore: ignore || !hasProgram("python3"),
  async fn() {
    const path = "../examples/exec_supervisor.ts";
    const text = await spawn([
      ...[Deno.execPath(), "run", "-A"],
      fileURLToPath(new URL(path, import.meta.url)),
    ], { timeout: 60_000 }).text();
    assertEquals(text.trim().split("\n"), [
      "a worker ended with SIGKILL: one more starts",
      "every answer right: true",
      "no job lost: true",
    ]);
  },
});

Deno.test({
  name: "a program list in --allow-run is enough",
  ignore: ignore || !hasFfi,
  async fn() {
    const peer = fileURLToPath(new URL("peers/run_list.ts", import.meta.url));
    const text = await spawn([
      ...[Deno.execPath(), "run", "--no-check", "--no-prompt"],
      ...["--allow-run=yes,head,sleep,cat", peer],
    ], { timeout: 60_000 }).text();
    assertEquals(text, "y\n\ntimeout\nNotCapable\n");
  },
});
