import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  Pipeline,
  pipeline,
  PipelineError,
  type PipelineErrorCode,
  type Stage,
} from "../pipe/mod.ts";
import { countDescriptors, temporaryDirectory } from "./_tools.ts";
import {
  build,
  children,
  connectionOf,
  hasFfi,
  isAlive,
  testModes,
  untilGone,
} from "./_pipe.ts";

async function fails(
  code: PipelineErrorCode,
  fn: () => Promise<unknown>,
): Promise<PipelineError> {
  const error = await assertRejects(fn, PipelineError);
  assertEquals(error.code, code, error.message);
  return error;
}

async function* upper(input: ReadableStream<Uint8Array>) {
  for await (const text of input.pipeThrough(new TextDecoderStream())) {
    yield text.toUpperCase();
  }
}

testModes("pipeline connects three commands", async (mode) => {
  const text = await build(
    mode,
    ["printf", "a.ts\nb.md\nc.ts\n"],
    ["grep", ".ts"],
    ["wc", "-l"],
  ).text();
  assertEquals(text.trim(), "2");
});

testModes("pipeline says how it is connected", async (mode) => {
  await using running = build(mode, ["true"], ["true"]).start();
  assertEquals(running.connection, connectionOf(mode));
  await running.result;
});

testModes("pipeline ends yes | head -1 at once, as a success", async (mode) => {
  const output = await build(mode, ["yes"], ["head", "-1"]).output();
  assertEquals(new TextDecoder().decode(output.stdout), "y\n");
  assertEquals(output.stages.map(({ signal }) => signal), ["SIGPIPE", null]);
  assert(output.stages.every(({ success }) => success));
});

testModes(
  "pipeline carries 8 MiB of input through three stages",
  async (mode) => {
    const input = crypto.getRandomValues(new Uint8Array(65536));
    async function* source() {
      for (let at = 0; at < 128; at++) yield input;
    }
    const bytes = await build(mode, ["cat"], ["cat"], ["cat"])
      .input(source()).bytes();
    assertEquals(bytes.length, 128 * input.length);
    assertEquals(bytes.subarray(0, input.length), input);
    assertEquals(bytes.subarray(-input.length), input);
  },
);

testModes("pipeline takes every kind of input", async (mode) => {
  const cat = build(mode, ["cat"], ["cat"]);
  assertEquals(await cat.input("text").text(), "text");
  assertEquals(await cat.input(new Uint8Array([104, 105])).text(), "hi");
  assertEquals(await cat.input(new Blob(["blob"]).stream()).text(), "blob");
  assertEquals(await cat.text(), "");
  async function* words() {
    yield "one ";
    yield new TextEncoder().encode("two");
  }
  assertEquals(await cat.input(words()).text(), "one two");
  assertEquals(await cat.input(["b\n", "a\n"]).text(), "b\na\n");
  assertEquals(await cat.input(new Set(["x", "y"])).text(), "xy");
  assertThrows(
    () => cat.input(5 as unknown as string).start(),
    TypeError,
    "expected",
  );
});

testModes(
  "pipeline reads lines, a last one without an end included",
  async (mode) => {
    const lines = await Array.fromAsync(
      build(mode, ["printf", "a\\r\\n\\nb€c"], ["cat"]).lines(),
    );
    assertEquals(lines, ["a", "", "b€c"]);
    assertEquals(
      await Array.fromAsync(build(mode, ["true"], ["cat"]).lines()),
      [],
    );
  },
);

testModes("pipeline reads JSON", async (mode) => {
  const value = await build(mode, ["echo", '{"a":[1]}'], ["cat"])
    .json<{ a: number[] }>();
  assertEquals(value, { a: [1] });
  const error = await fails(
    "invalid-json",
    () => build(mode, ["echo", "{"], ["cat"]).json(),
  );
  assertInstanceOf(error.cause, SyntaxError);
});

testModes(
  "pipeline refuses text that is no UTF-8, and says where",
  async (mode) => {
    const bad = build(mode, ["printf", "ab\\377c\\n"], ["cat"]);
    const error = await fails("invalid-utf8", () => bad.text());
    assertStringIncludes(error.message, "from byte 2 on");
    await fails("invalid-utf8", () => Array.fromAsync(bad.lines()));
    assertEquals((await bad.bytes()).length, 5);
  },
);

testModes(
  "pipeline has functions and TransformStreams between commands",
  async (mode) => {
    assertEquals(
      await build(mode, ["echo", "a"], upper, ["cat"]).text(),
      "A\n",
    );
    const gzip = new CompressionStream("gzip");
    assertEquals(
      await build(mode, ["echo", "zipped"], gzip, ["gunzip"]).text(),
      "zipped\n",
    );
    assertEquals(await build(mode, ["echo", "last"], upper).text(), "LAST\n");
    async function* first() {
      yield "first";
    }
    assertEquals(await build(mode, first, upper, ["cat"]).text(), "FIRST");
    assertEquals(await build(mode, upper).input("only").text(), "ONLY");
  },
);

testModes(
  "pipeline ends what stands before a function that wants no more",
  async (mode) => {
    async function* once(input: ReadableStream<Uint8Array>) {
      for await (const _chunk of input) {
        yield "enough";
        return;
      }
    }
    const output = await build(mode, ["yes"], once, ["cat"]).output();
    assertEquals(new TextDecoder().decode(output.stdout), "enough");
    assertEquals(output.stages[0].signal, "SIGPIPE");
  },
);

testModes("pipeline ends a function whose reader has gone", async (mode) => {
  let ended = false;
  async function* endless() {
    try {
      for (;;) yield "y\n";
    } finally {
      ended = true;
    }
  }
  assertEquals(await build(mode, endless, ["head", "-1"]).text(), "y\n");
  assert(ended);
});

testModes("pipeline fails with what a function throws", async (mode) => {
  async function* broken(): AsyncIterable<string> {
    yield "a";
    throw new Error("bad stage");
  }
  const error = await fails(
    "stage-failed",
    () => build(mode, ["yes"], broken, ["cat"]).text(),
  );
  assertEquals((error.cause as Error).message, "bad stage");
  const input = await fails(
    "input-failed",
    () => build(mode, ["cat"], ["cat"]).input(broken()).text(),
  );
  assertEquals((input.cause as Error).message, "bad stage");
});

testModes(
  "pipeline fails where any stage does, unless pipefail is off",
  async (mode) => {
    const failing = build(
      mode,
      ["sh", "-c", "echo out; echo why >&2; exit 3"],
      ["cat"],
    );
    const error = await fails("exit-code", () => failing.text());
    assertEquals(error.exitCode, 3);
    assertEquals(error.signal, null);
    assertEquals(error.stderr, "why\n");
    assertStringIncludes(error.message, "exited with code 3");
    assertEquals(error.stages.map(({ code }) => code), [3, 0]);
    assertEquals(await failing.with({ pipefail: false }).text(), "out\n");
    const last = build(mode, ["true"], ["sh", "-c", "exit 4"]);
    const lastError = await fails(
      "exit-code",
      () => last.with({ pipefail: false }).text(),
    );
    assertEquals(lastError.exitCode, 4);
  },
);

testModes(
  "pipeline returns a failure where nothing is thrown",
  async (mode) => {
    const output = await build(mode, ["sh", "-c", "echo out; exit 3"], ["cat"])
      .with({ throwOnFailure: false }).output();
    assertEquals(new TextDecoder().decode(output.stdout), "out\n");
    assertEquals(output.success, false);
    assertEquals(output.code, 3);
    assertEquals(output.error?.code, "exit-code");
  },
);

testModes("pipeline takes other exit codes for a success", async (mode) => {
  const none = { command: ["grep", "x"], successCodes: [0, 1] };
  assertEquals(await build(mode, ["echo", "a"], none).text(), "");
});

testModes("pipeline keeps, merges or drops stderr, by stage", async (mode) => {
  const command = ["sh", "-c", "echo a; echo b >&2; echo c"];
  const merged = { command, stderr: "merge" } as const;
  assertEquals(await build(mode, merged).text(), "a\nb\nc\n");
  if (connectionOf(mode) === "descriptors") {
    assertEquals(await build(mode, merged, ["cat"]).text(), "a\nb\nc\n");
  }
  const kept = await build(mode, command, ["cat"]).output();
  assertEquals(kept.stages[0].stderr, "b\n");
  const dropped = await build(mode, command, ["cat"])
    .with({ stderr: "null" }).output();
  assertEquals(dropped.stages[0].stderr, "");
  const tail = await build(mode, ["sh", "-c", "seq 100000 >&2"], ["cat"])
    .with({ maxStderr: 7 }).output();
  assertEquals(tail.stages[0].stderr, "100000\n");
});

testModes("pipeline says that a merged command is missing", async (mode) => {
  const command = { command: ["sluice-none"], stderr: "merge" } as const;
  await fails("not-found", () => build(mode, command).text());
});

testModes(
  "pipeline tells a missing program from one that can't be run",
  async (mode) => {
    await using directory = await temporaryDirectory();
    const file = `${directory.path}/plain`;
    await Deno.writeTextFile(file, "text");
    const missing = await fails(
      "not-found",
      () => build(mode, ["yes"], ["sluice-none"]).text(),
    );
    assertEquals(missing.command, "sluice-none");
    assertInstanceOf(missing.cause, Deno.errors.NotFound);
    await fails("not-executable", () => build(mode, ["yes"], [file]).text());
    await fails(
      "bad-cwd",
      () =>
        build(mode, ["ls"], ["cat"]).with({ cwd: `${directory.path}/no` })
          .text(),
    );
    await fails(
      "bad-cwd",
      () => build(mode, ["ls"], ["cat"]).with({ cwd: file }).text(),
    );
    const listed = build(mode, ["ls"], ["cat"]).with({ cwd: directory.path });
    assertEquals(await listed.text(), "plain\n");
  },
);

testModes(
  "pipeline ends at a timeout, by force after killTimeout",
  async (mode) => {
    const error = await fails(
      "timeout",
      () => build(mode, ["sleep", "60"], ["cat"]).with({ timeout: 50 }).text(),
    );
    assertEquals(error.killedBy, "timeout");
    assertEquals((error.cause as DOMException).name, "TimeoutError");
    const stubborn = "trap '' TERM; echo up; while :; do sleep 1; done";
    await using running = build(mode, ["sh", "-c", stubborn], ["cat"])
      .with({ killTimeout: 50 }).start();
    const lines = running.lines();
    assertEquals((await lines.next()).value, "up");
    await lines.return!();
    const [status] = (await running.result).stages;
    assertEquals(status.signal, "SIGKILL");
  },
);

testModes("pipeline ends the whole process group", async (mode) => {
  const running = build(
    mode,
    ["sh", "-c", "sleep 60 & echo $!; wait"],
    ["cat"],
  ).start();
  const lines = running.lines();
  const pid = Number((await lines.next()).value);
  await lines.return!();
  await untilGone(pid);
});

testModes("pipeline rejects with the reason of its signal", async (mode) => {
  const reason = new Error("enough");
  const controller = new AbortController();
  const sleeping = build(mode, ["sleep", "60"], ["cat"])
    .with({ signal: controller.signal });
  const text = sleeping.text();
  controller.abort(reason);
  assertEquals(await assertRejects(() => text), reason);
  assertEquals(await assertRejects(() => sleeping.text()), reason);
  const result = await sleeping.with({ throwOnFailure: false }).run();
  assertEquals(result.killedBy, "abort");
  assertEquals(result.success, false);
});

testModes("pipeline ends where its output exceeds maxOutput", async (mode) => {
  const endless = build(mode, ["yes"], ["cat"]).with({ maxOutput: 1000 });
  const error = await fails("max-output", () => endless.text());
  assertStringIncludes(error.message, "maxOutput 1000");
  await fails("max-output", () => endless.run());
  const output = await endless.with({ throwOnFailure: false }).output();
  assertEquals(output.stdout.length, 1000);
  assertEquals(output.killedBy, "max-output");
  const line = build(mode, ["head", "-c", "100000", "/dev/zero"], ["cat"]);
  await fails(
    "max-output",
    () => Array.fromAsync(line.with({ maxOutput: 1000 }).lines()),
  );
  const exact = build(mode, ["printf", "12345"], ["cat"]);
  assertEquals(await exact.with({ maxOutput: 5 }).text(), "12345");
});

testModes(
  "pipeline does not wait for a process that a stage left",
  async (mode) => {
    const script = "sleep 60 & echo $!";
    for (
      const stages of [[["sh", "-c", script]], [["sh", "-c", script], ["cat"]]]
    ) {
      const output = await build(mode, ...stages)
        .with({ drainTimeout: 50, throwOnFailure: false }).output();
      assertEquals(output.error?.code, "output-held");
      assertStringIncludes(output.error?.message ?? "", "kept its output open");
      await untilGone(Number(new TextDecoder().decode(output.stdout)));
    }
  },
);

testModes(
  "pipeline waits for a slow reader after its writer's exit",
  async (mode) => {
    const reading = "sleep 0.3; cat";
    const text = await build(mode, ["seq", "3"], ["sh", "-c", reading])
      .with({ drainTimeout: 50 }).text();
    assertEquals(text, "1\n2\n3\n");
  },
);

testModes("pipeline says what killed a stage from outside", async (mode) => {
  const error = await fails(
    "signal",
    () => build(mode, ["sh", "-c", "kill -9 $$"], ["cat"]).text(),
  );
  assertEquals(error.signal, "SIGKILL");
  assertEquals(error.killedBy, null);
  const running = build(mode, ["sleep", "60"], ["cat"]).start();
  running.kill("SIGKILL");
  const killed = await fails("signal", () => running.text());
  assertEquals(killed.killedBy, "kill");
});

testModes(
  "pipeline ends its processes when nobody reads its lines on",
  async (mode) => {
    for await (const line of build(mode, ["yes"], ["cat"]).lines()) {
      assertEquals(line, "y");
      break;
    }
    const running = build(mode, ["yes"], ["cat"]).start();
    const reader = running.readable.getReader();
    await reader.read();
    await reader.cancel();
    assertEquals((await running.result).success, true);
  },
);

testModes(
  "pipeline streams with backpressure, and errors at the end",
  async (mode) => {
    const running = build(mode, ["sh", "-c", "echo a; exit 3"], ["cat"])
      .start();
    const reader = running.readable.getReader();
    assertEquals(new TextDecoder().decode((await reader.read()).value), "a\n");
    await fails("exit-code", () => reader.read());
    await fails("exit-code", () => running.result);
  },
);

testModes("pipeline gives what ended before it was read", async (mode) => {
  const running = build(mode, ["head", "-c", "1000000", "/dev/zero"], ["cat"])
    .start();
  const statuses = await Promise.all(running.stages.map((s) => s.status));
  assertEquals(statuses.map(({ code }) => code), [0, 0]);
  assertEquals((await running.result).success, true);
  assertEquals((await running.bytes()).length, 1_000_000);
  await assertRejects(() => running.text(), TypeError, "something else");
});

testModes("pipeline that is disposed ends", async (mode) => {
  let pid: number | undefined;
  {
    await using running = build(mode, ["sleep", "60"], ["cat"]).start();
    pid = running.stages[0].pid;
    assert(pid !== undefined && isAlive(pid));
  }
  await untilGone(pid);
});

testModes(
  "pipeline leaves no descriptor, no process and no zombie",
  async (mode) => {
    const scenario = async () => {
      await build(mode, ["yes"], ["head", "-1"]).text();
      await build(mode, ["yes"], ["sluice-none"]).text().catch(() => {});
      await build(mode, ["yes"], ["cat"], ["cat"]).with({ maxOutput: 10 })
        .text()
        .catch(() => {});
      await build(mode, ["sleep", "60"], ["cat"]).with({ timeout: 5 }).text()
        .catch(() => {});
      await build(mode, ["seq", "9"], upper, ["cat"]).input("x").text();
      await build(mode, ["true"]).input("x".repeat(1 << 20)).text();
      await build(mode, ["sh", "-c", "exit 1"], ["cat"]).text().catch(() => {});
      await build(mode, ["sh", "-c", "sleep 60 & exit"], ["cat"])
        .with({ drainTimeout: 5 }).text().catch(() => {});
      await using _running = build(mode, ["yes"], ["cat"]).start();
    };
    await scenario();
    const before = countDescriptors();
    for (let round = 0; round < 5; round++) await scenario();
    assertEquals(countDescriptors(), before);
    assertEquals(children(), []);
  },
  !hasFfi, // /proc can not be listed without every permission
);

Deno.test("pipeline refuses what is no stage", async () => {
  await assertRejects(() => pipeline().text(), TypeError, "Pipeline is empty");
  assertThrows(() => new Pipeline().start(), TypeError, "Pipeline is empty");
  assertThrows(() => pipeline([]), TypeError, "the command is empty");
  assertThrows(() => pipeline([""]), TypeError, "the command is empty");
  assertThrows(() => pipeline(["a\0b"]), TypeError, "without NUL");
  assertThrows(() => pipeline("ls" as unknown as Stage), TypeError, '"ls"');
  assertThrows(
    () => pipeline(["ls"]).with({ maxOutput: -1 }),
    RangeError,
    "maxOutput",
  );
  assertThrows(
    () => pipeline(["ls"]).with({ killSignal: "TERM" as Deno.Signal }).start(),
    TypeError,
    'Invalid killSignal: expected a signal such as "SIGTERM", received "TERM"',
  );
  assertThrows(
    () => pipeline(["ls"]).pipe(upper, { cwd: "/" }),
    TypeError,
    "only a command",
  );
});

Deno.test("pipeline goes on after empty chunks", async () => {
  async function* spaced(input: ReadableStream<Uint8Array>) {
    yield "";
    for await (const chunk of input) {
      yield chunk;
      yield new Uint8Array(0);
    }
  }
  const timed = { timeout: 5_000 };
  assertEquals(await new Pipeline([upper], timed).input("").text(), "");
  assertEquals(
    await new Pipeline([spaced, upper], timed).input(["", "a", "", "b"]).text(),
    "AB",
  );
  assertEquals(
    await new Pipeline([spaced, ["cat"], spaced], timed).input("a").text(),
    "a",
  );
});

Deno.test("pipeline of JavaScript alone ends at a timeout", async () => {
  const endless = () =>
    new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(1000)),
    });
  const same = () => new TransformStream<Uint8Array, Uint8Array>();
  await fails("timeout", async () => {
    const options = { stdin: endless(), timeout: 50 };
    for await (const _ of pipeline(same()).with(options).readable);
  });
  await fails("timeout", () => {
    const options = { stdin: endless(), timeout: 50, stdout: "null" } as const;
    return pipeline(same(), same()).with(options).run();
  });
});

Deno.test("pipeline takes a line that comes in many pieces", async () => {
  const piece = new Uint8Array([97]);
  async function* pieces() {
    for (let i = 0; i < 200_000; i++) yield piece;
  }
  const lines = await Array.fromAsync(pipeline(pieces).lines());
  assertEquals(lines.map((line) => line.length), [200_000]);
});

for (const [stdout, expected] of [["inherit", "A\nB\n"], ["null", ""]]) {
  Deno.test(`pipeline moves what JavaScript yields to stdout ${stdout}`, async () => {
    const script = `
      import { pipeline } from "${import.meta.resolve("../pipe/mod.ts")}";
      await pipeline(["printf", "a\\nb\\n"], async function* (input) {
        const text = input.pipeThrough(new TextDecoderStream());
        for await (const part of text) yield part.toUpperCase();
      }).with({ stdout: "${stdout}" }).run();`;
    const command = [Deno.execPath(), "eval", script];
    assertEquals(await pipeline(command).text(), expected);
  });
}

Deno.test({
  name: "pipeline says that its stdout takes no more from JavaScript",
  ignore: !hasFfi, // a child with every permission
  async fn() {
    const script = `
      import { pipeline } from "${import.meta.resolve("../pipe/mod.ts")}";
      await pipeline(async function* () {
        while (true) yield "y\\n";
      }).with({ stdout: "inherit" }).run()
        .catch((error) => console.error(error.code));`;
    const first = await pipeline([Deno.execPath(), "eval", script], [
      "head",
      "-1",
    ]).output();
    assertEquals(new TextDecoder().decode(first.stdout), "y\n");
    assertEquals(first.stages[0].stderr.trim(), "output-failed");
  },
});

Deno.test("pipeline is a description that can run twice", async () => {
  const base = pipeline(["echo", "a"]);
  const longer = base.pipe(["cat"], { env: { A: "b" } }).pipe(upper);
  assertEquals(await longer.text(), "A\n");
  assertEquals(await longer.text(), "A\n");
  assertEquals(await base.text(), "a\n");
});

Deno.test({
  name: "pipeline sets the capacity of its pipes",
  ignore: Deno.build.os !== "linux" || !hasFfi,
  async fn() {
    const python = "import fcntl; print(fcntl.fcntl(0, 1032))";
    const asking = pipeline(["true"], ["python3", "-c", python]);
    const set = asking.with({ pipeCapacity: 262144 });
    assertEquals((await set.text()).trim(), "262144");
    assertEquals((await asking.text()).trim(), "65536");
    const writing = "import fcntl,sys; print(fcntl.fcntl(1, 1032))";
    const last = pipeline(["python3", "-c", writing])
      .with({ pipeCapacity: 262144 });
    assertEquals((await last.text()).trim(), "262144");
  },
});

// There is nothing to refuse with FFI: the run in a child without it has this.
if (!hasFfi) {
  Deno.test({
    name: "pipeline without FFI says that pipeCapacity needs it",
    ignore: Deno.build.os !== "linux",
    async fn() {
      await assertRejects(
        () => pipeline(["true"]).with({ pipeCapacity: 262144 }).text(),
        Deno.errors.NotCapable,
        "--allow-ffi",
      );
    },
  });
}
