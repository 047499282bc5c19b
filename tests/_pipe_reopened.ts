// Kernel pipes without FFI. With FFI there is nothing to see: a test of
// pipe_process_test.ts runs this file, in a process without it.

import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { pipeline, spawn, type Stage } from "../pipe/mod.ts";
import { hasProgram, temporaryDirectory } from "./_tools.ts";

const ignore = Deno.build.os !== "linux";
const module = import.meta.resolve("../pipe/mod.ts");

function build(...stages: Stage[]) {
  return pipeline(...stages)
    .with({ connection: "descriptors", timeout: 20_000 });
}

/** The pipes that this process has open, as another one lists them. */
async function descriptors(): Promise<string[]> {
  const script = `readlink /proc/self/fd/1; ls -l /proc/${Deno.pid}/fd`;
  const { stdout } = await new Deno.Command("sh", {
    args: ["-c", script],
    stderr: "null",
  }).output();
  const [own, ...lines] = new TextDecoder().decode(stdout).trim().split("\n");
  return lines.filter((line) => line.includes("pipe:") && !line.endsWith(own));
}

/** The processes that this one started and that are there, zombies included. */
async function children(): Promise<string[]> {
  const script = `cat /proc/${Deno.pid}/task/*/children`;
  const { stdout } = await new Deno.Command("sh", { args: ["-c", script] })
    .output();
  return new TextDecoder().decode(stdout).trim().split(/\s+/);
}

/** Runs a program with these permissions, on a terminal where that is asked. */
async function runWith(
  permissions: string[],
  script: string,
  terminal = false,
): Promise<string> {
  await using directory = await temporaryDirectory();
  const file = `${directory.path}/main.ts`;
  await Deno.writeTextFile(
    file,
    `import { pipeline, spawn } from "${module}";\n${script}`,
  );
  const command = [
    ...[Deno.execPath(), "run", "--no-check"],
    ...permissions,
    file,
  ];
  return await spawn(
    terminal ? ["script", "-qec", command.join(" "), "/dev/null"] : command,
    { timeout: 60_000 },
  ).text();
}

Deno.test({
  name: "pipeline without FFI gives its commands descriptors that block",
  ignore,
  async fn() {
    const flags = "grep flags /proc/self/fdinfo/";
    const output = await build(
      ["sh", "-c", `${flags}1`],
      ["sh", "-c", `cat; ${flags}0`],
    ).text();
    const [write, read] = output.trim().split("\n")
      .map((line) => parseInt(line.split(/\s+/)[1], 8));
    const [accessMode, nonBlocking] = [0o3, 0o4000];
    assertEquals([write & accessMode, read & accessMode], [1, 0]);
    assertEquals([write & nonBlocking, read & nonBlocking], [0, 0]);
  },
});

Deno.test({
  name: "pipeline without FFI leaves nothing of 100 short ones",
  ignore,
  async fn() {
    const once = () => build(["echo", "a"], ["cat"], ["cat"]).text();
    await once();
    const before = (await descriptors()).length;
    for (let round = 0; round < 100; round++) assertEquals(await once(), "a\n");
    await Promise.all(Array.from({ length: 20 }, once));
    assertEquals((await descriptors()).length, before);
    assertEquals((await children()).length, 1); // who asked
  },
});

Deno.test({
  name: "pipeline without FFI leaves nothing where a stage can't start",
  ignore,
  async fn() {
    const failing = [
      build(["sluice-none"], ["cat"]),
      build(["yes"], ["sluice-none"]),
      build(["yes"], ["cat"], ["sluice-none"], ["cat"]),
      build(["yes"], ["cat"]).with({ cwd: "/sluice-none" }),
    ];
    await failing[0].text().catch(() => {});
    const before = (await descriptors()).length;
    for (const one of failing) await assertRejects(() => one.text());
    assertEquals((await descriptors()).length, before);
    assertEquals((await children()).length, 1);
  },
});

Deno.test({
  name: "pipeline without FFI keeps no end of its pipes open itself",
  ignore,
  async fn() {
    // While it runs, the pipe between the two is here as no end: neither
    // readable nor writable.
    await using running = build(["sleep", "60"], ["cat"]).start();
    const own = (await descriptors()).filter((line) => line.startsWith("l---"));
    assertEquals(own.length, 1);
    const pipe = /pipe:\[\d+\]/.exec(own[0])![0];
    const all = (await descriptors()).filter((line) => line.includes(pipe));
    assertEquals(all.length, 1);
    running.kill("SIGKILL");
    await running.result.catch(() => {});
  },
});

Deno.test({
  name: "pipeline without FFI goes on while this program is busy",
  ignore,
  async fn() {
    const running = build(["head", "-c", "300M", "/dev/zero"], ["wc", "-c"])
      .start();
    // No byte passes through here: it ends while nothing else can run.
    const until = performance.now() + 10_000;
    let stat = "";
    while (!/\) Z/.test(stat) && performance.now() < until) {
      const { stdout } = new Deno.Command("cat", {
        args: [`/proc/${running.stages[1].pid}/stat`],
      }).outputSync();
      stat = new TextDecoder().decode(stdout);
    }
    assertStringIncludes(stat, ") Z");
    assertEquals((await running.text()).trim(), "314572800");
  },
});

Deno.test({
  name:
    "pipeline without FFI waits for a reader, and for no process left behind",
  ignore,
  async fn() {
    const quick = { drainTimeout: 50, throwOnFailure: false };
    const slow = build(["seq", "3"], ["sh", "-c", "sleep 0.5; cat"]);
    assertEquals(await slow.with(quick).text(), "1\n2\n3\n");
    const held = build(["sh", "-c", "sleep 60 & echo a"], ["cat"]);
    const { error, duration } = await held.with(quick).output();
    assertEquals(error?.code, "output-held");
    assert(duration < 20_000);
    // What ends soon is no failure.
    const soon = build(["sh", "-c", "sleep 0.3 & echo a"], ["cat"]);
    assertEquals(await soon.with({ drainTimeout: 5_000 }).text(), "a\n");
  },
});

Deno.test({
  name: "pipeline without FFI passes env and clearEnv to each command",
  ignore,
  async fn() {
    const env = { command: ["/usr/bin/env"], clearEnv: true, env: { A: "1" } };
    const lines = await build(env, ["sort"]).text();
    assertEquals(lines, "A=1\n");
    const shell = "cat; echo $B";
    const reading = {
      command: ["/bin/sh", "-c", shell],
      env: { B: "2", PATH: "/bin:/usr/bin" },
      clearEnv: true,
    };
    assertEquals(await build(["echo", "1"], reading).text(), "1\n2\n");
  },
});

Deno.test({
  name: "pipeline without FFI says what to allow, and asks nobody",
  ignore: ignore || !hasProgram("script"),
  async fn() {
    const refused = await runWith(
      ["--allow-run=cat,echo", "--allow-read=/proc/self/fd"],
      `
      const two = pipeline(["echo", "auto"], ["cat"]);
      const own = { connection: "descriptors" };
      console.log(await two.text());
      console.log(await two.with(own).text().catch((error) => error.message));
      console.log(await spawn(["echo", "single"], own).text());
      `,
      true, // a prompt would be there
    );
    assertStringIncludes(refused, "auto\r\n");
    assertStringIncludes(
      refused,
      "Cannot connect the stages of a pipeline by descriptors: run again with " +
        "--allow-ffi, or with --allow-run=true --allow-write=/proc/self/fd",
    );
    assertStringIncludes(refused, "single\r\n");
    assert(!/allow\?|┏/i.test(refused), refused);
  },
});

Deno.test({
  name: "pipeline without FFI needs the listed permissions and no other",
  ignore,
  async fn() {
    const text = await runWith(
      [
        "--no-prompt",
        "--allow-run=head,wc,true",
        "--allow-read=/proc/self/fd",
        "--allow-write=/proc/self/fd",
      ],
      `
      const running = pipeline(["head", "-c", "1M", "/dev/zero"], ["wc", "-c"])
        .with({ connection: "descriptors", clearEnv: true }).start();
      console.log(running.connection, (await running.text()).trim());
      `,
    );
    assertEquals(text.trim(), "descriptors 1048576");
  },
});
